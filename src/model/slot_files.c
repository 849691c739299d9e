/* slot_files.c - what conversations that lost their slot have in it, kept as files.
 *
 * A llama-server writes the contents of a slot and reads them again in milliseconds, where reading the
 * prompt anew takes seconds on a GPU and minutes without one.  So a slot is saved when it is given to
 * another conversation (unless its server keeps such prompts in memory by itself) and when its
 * model is about to leave; a conversation that comes back has its file restored, and removed, since
 * it goes on from there.  A file is there, therefore, only as long as its conversation has no slot.
 *
 * Nothing depends on it: whatever goes wrong, the prompt is read as if there were no file.  A server
 * does not write atomically, and does not check what a file was made from: it is renamed when it
 * is whole, and named by all that it depends on.
 */
#include "model/manager_internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"
#include "os/files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MIB = 1 << 20, MAX_FILES = 10000,
    SAVE_MS = 10000, RESTORE_MS = 30000, LEAVE_MS = 20000, CLOSE_MS = 2000,
    OLD_S = 24 * 3600,
};
static const char ending[] = ".slot", part[] = ".part";

static bool is_kept(const struct instance *i)
{
    const struct manager_options *o = &i->manager->options;
    return o->slots_dir && o->limits.slot_files_mib && instance_keeping(i)->slot;
}

/* By all that makes a file fit. */
static const char *name_of(struct arena *a, const struct instance *i, const char *conversation)
{
    STR_LOCAL(text);
    str_addf(&text, "%s\n%s\n%lld\n%s\n", i->entry.file, i->backend.program, (long long)i->context, conversation);
    for (size_t k = 0; k < i->entry.arguments.count; k++)
        str_addf(&text, "%s\n", i->entry.arguments.items[k]);
    return arena_printf(a, "%.40s%s", digest_of(text.data, text.len).hex, ending);
}

/* ---- the folder ---- */

struct kept {
    const char *path;
    int64_t bytes;
    struct timespec at;
};

static int compare_age(const void *one, const void *other)
{
    const struct timespec *a = &((const struct kept *)one)->at, *b = &((const struct kept *)other)->at;
    return a->tv_sec != b->tv_sec ? (a->tv_sec > b->tv_sec) - (a->tv_sec < b->tv_sec) : (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

static void prune(int dir, int64_t most_bytes, bool parts_too)
{
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t all, count = 0;
    int64_t sum = 0;
    struct stat st;
    if (file_list(dir, &a, MAX_FILES, &entries, &all, NULL) < 0)
        return;
    struct kept *kept = ARENA_ARRAY(&a, struct kept, all);
    for (size_t i = 0; i < all; i++) {
        if (parts_too && ends_with(entries[i].path, part))
            file_remove(dir, entries[i].path, NULL);
        if (!ends_with(entries[i].path, ending) || fstatat(dir, entries[i].path, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        kept[count++] = (struct kept){ entries[i].path, st.st_size, st.st_mtim };
        sum += st.st_size;
    }
    qsort(kept, count, sizeof *kept, compare_age);
    int64_t oldest = (int64_t)time(NULL) - OLD_S;
    for (size_t i = 0; i < count && (sum > most_bytes || kept[i].at.tv_sec < oldest); i++) {
        file_remove(dir, kept[i].path, NULL);
        sum -= kept[i].bytes;
    }
}

int slot_files_open(struct manager *m, struct err *e)
{
    int dir;
    if (!m->options.slots_dir)
        return 0;
    int r = dir_open(m->options.slots_dir, true, &dir, e);
    if (r < 0)
        return r;
    prune(dir, m->options.limits.slot_files_mib * MIB, true);
    close(dir);
    return 0;
}

/* ---- one slot ---- */

static void save(struct instance *i, size_t slot, const char *conversation, int64_t ms, const atomic_bool *cancel)
{
    ARENA_LOCAL(a);
    const struct manager_options *o = &i->manager->options;
    const char *name = name_of(&a, i, conversation), *temporary = arena_printf(&a, "%s-%zu%s", i->name, slot, part);
    struct stat st;
    int64_t bytes;
    int dir;
    if (dir_open(o->slots_dir, true, &dir, NULL) < 0)
        return;
    int r = instance_keeping(i)->slot(i, slot, "save", temporary, ms, cancel, &bytes);
    if (r == 0 && fstatat(dir, temporary, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == bytes && bytes)
        renameat(dir, temporary, dir, name);
    else
        file_remove(dir, temporary, NULL);
    prune(dir, o->limits.slot_files_mib * MIB, false);
    close(dir);
}

static void restore(struct instance *i, size_t slot, const char *conversation, const atomic_bool *cancel)
{
    ARENA_LOCAL(a);
    const char *name = name_of(&a, i, conversation);
    int64_t bytes;
    int dir;
    if (dir_open(i->manager->options.slots_dir, false, &dir, NULL) < 0)
        return;
    if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        instance_keeping(i)->slot(i, slot, "restore", name, RESTORE_MS, cancel, &bytes);
        file_remove(dir, name, NULL);
    }
    close(dir);
}

/* ---- when ---- */

void slot_hand_over(const struct waiter *w, const atomic_bool *cancel)
{
    struct instance *i = w->instance;
    if (!is_kept(i))
        return;
    if (*w->before && !i->entry.cache_mib)
        save(i, w->slot, w->before, SAVE_MS, cancel);
    if (w->is_new && *w->conversation)
        restore(i, w->slot, w->conversation, cancel);
}

void slots_save(struct instance *i)
{
    struct manager *m = i->manager;
    int64_t now = clock_steady_ms(), deadline = now + (m->closing ? CLOSE_MS : LEAVE_MS), left;
    if (!i->model || i->retired || !is_kept(i))
        return;
    for (size_t k = 0; k < i->slot_count && (left = deadline - clock_steady_ms()) > 0; k++) {
        struct slot slot = i->slots[k];
        if (slot.busy || !*slot.conversation || now - slot.used_ms >= m->options.limits.live_ms)
            continue;
        manager_unlock(m);
        save(i, k, slot.conversation, left < SAVE_MS ? left : SAVE_MS, NULL);
        manager_lock(m);
    }
}
