/* orphans.c - notes of children, and the end of those whose parent is gone.
 *
 * A process is known by its id and the time it was started (field 22 of /proc/PID/stat), because
 * ids are used again.
 */
#include "model/orphans.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_NOTES = 1000, MAX_NOTE = 200, DIE_LOOKS = 250, DIE_LOOK_MS = 20, STAT_STARTED = 22 };

/* 0: there is no such process. */
static unsigned long long started_at(pid_t pid)
{
    STR_LOCAL(stat);
    char path[60];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (file_read_path(path, 4096, &stat, NULL) < 0)
        return 0;
    const char *at = strrchr(stat.data, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < STAT_STARTED; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static int end_one(int dir, const char *name, struct err *e)
{
    STR_LOCAL(note);
    long long pid = 0;
    unsigned long long started = 0;
    if (file_read(dir, name, MAX_NOTE, &note, NULL) < 0 || sscanf(note.data, "%lld %llu", &pid, &started) != 2 || pid < 2)
        return 0;
    if (!started || started_at((pid_t)pid) != started)
        return 0;
    kill((pid_t)-pid, SIGKILL); /* it leads its group, as all our children do */
    kill((pid_t)pid, SIGKILL);
    for (int i = 0; i < DIE_LOOKS && started_at((pid_t)pid) == started; i++)
        usleep(DIE_LOOK_MS * 1000);
    if (started_at((pid_t)pid) != started)
        return 0;
    return err_set(e, ERR_TIMEOUT, "the model server that an earlier Tandem left behind (process %lld) does not die although it was "
                                   "killed; it still holds its memory", pid);
}

int orphans_end(const char *path, struct err *e)
{
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t count;
    int dir;
    int r = dir_open(path, true, &dir, e);
    if (r < 0)
        return r;
    r = file_list(dir, &a, MAX_NOTES, &entries, &count, e);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (ends_with(entries[i].path, ".child"))
            r = end_one(dir, entries[i].path, e);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (ends_with(entries[i].path, ".child") || ends_with(entries[i].path, ".sock"))
            r = file_remove(dir, entries[i].path, e);
    close(dir);
    return r;
}

void orphan_note(const char *path, const char *name, pid_t pid)
{
    char file[300], note[MAX_NOTE];
    int dir;
    if (dir_open(path, false, &dir, NULL) < 0)
        return;
    snprintf(file, sizeof file, "%s.child", name);
    int len = snprintf(note, sizeof note, "%ld %llu\n", (long)pid, started_at(pid));
    file_write(dir, file, note, (size_t)len, 0600, false, NULL);
    close(dir);
}

void orphan_forget(const char *path, const char *name)
{
    static const char *const endings[] = { "child", "sock" };
    char file[300];
    int dir;
    if (dir_open(path, false, &dir, NULL) < 0)
        return;
    for (int i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s.%s", name, endings[i]);
        file_remove(dir, file, NULL);
    }
    close(dir);
}
