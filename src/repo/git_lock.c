/* git_lock.c - removes the lock files of a git that was killed.
 *
 * In a repository of ours, all of them:
 *
 * git takes NAME.lock beside what it writes and leaves it when it is killed in between; the
 * next git then refuses to write.  Tandem's git processes die with it (os/process.h) and one
 * process holds the home, so whoever opens a repository for writing knows that a lock found
 * there is nobody's.  Only refs and the files at the top can be locked; objects cannot.
 *
 * In a person's repository theirs may be at work.  So before a branch is moved there, a note in our own
 * repository says where, and where to; it goes when the move has ended.  A lock there is ours only when
 * such a note was left, the lock is our user's, was made when the move was, and holds the commit of the
 * note, or nothing although git writes it at once.  Any other is named to the person.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_REF_FILES = 100000,
    MAX_NOTE = 8192,
    NOTE_S = 120,  /* as long as git may take to move a branch */
    SETTLED_S = 2, /* a git that has made its lock has long written it */
};

static void remove_top(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *d; (d = readdir(dir));)
        if (ends_with(d->d_name, ".lock"))
            unlinkat(dir_fd, d->d_name, 0);
    closedir(dir);
}

static int remove_refs(int dir_fd, struct err *e)
{
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t count;
    int fd = openat(dir_fd, "refs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot open refs");
    int code = file_list(fd, &a, MAX_REF_FILES, &entries, &count, e);
    for (size_t i = 0; code == 0 && i < count; i++)
        if (ends_with(entries[i].path, ".lock"))
            code = file_remove(fd, entries[i].path, e);
    close(fd);
    return code;
}

int git_remove_locks(const char *git_dir, struct err *e)
{
    int fd = open(git_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot open %s", git_dir);
    remove_top(fd);
    int code = remove_refs(fd, e);
    close(fd);
    return code;
}

/* ---- in a person's repository ---- */

#define NOTE "tandem-moving"

/* The branch's, and HEAD's, which git takes too when HEAD leads there. */
enum { LOCKED = 2 };

static const char *lock_path(struct arena *a, size_t which, const char *git_dir, const char *ref)
{
    return which ? arena_printf(a, "%s/HEAD.lock", git_dir) : arena_printf(a, "%s/%s.lock", git_dir, ref);
}

int foreign_lock_note(struct repo *r, const char *git_dir, const char *ref, const struct oid *to, struct err *e)
{
    STR_LOCAL(note);
    str_addf(&note, "%s %s %s", to->hex, ref, git_dir);
    return file_write(r->fd, NOTE, note.data, note.len, 0600, true, e);
}

void foreign_lock_forget(struct repo *r)
{
    unlinkat(r->fd, NOTE, 0);
}

static bool is_ours(const char *lock, const char *commit, const struct stat *note)
{
    struct stat st;
    STR_LOCAL(text);
    bool in_time = lstat(lock, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_mtime >= note->st_mtime &&
                   st.st_mtime <= note->st_mtime + NOTE_S && st.st_mtime + SETTLED_S < time(NULL);
    if (!in_time || file_read_path(lock, OID_HEX_MAX + 1, &text, NULL) < 0)
        return false;
    str_rtrim(&text);
    return !text.len || streq(text.data, commit);
}

void foreign_lock_clear(struct repo *r)
{
    ARENA_LOCAL(a);
    STR_LOCAL(text);
    struct stat note;
    if (fstatat(r->fd, NOTE, &note, AT_SYMLINK_NOFOLLOW) < 0 || file_read(r->fd, NOTE, MAX_NOTE, &text, NULL) < 0)
        return;
    char *ref = strchr(text.data, ' '), *git_dir = ref ? strchr(ref + 1, ' ') : NULL;
    if (git_dir) {
        *ref++ = *git_dir++ = '\0';
        for (size_t i = 0; i < LOCKED; i++)
            if (is_ours(lock_path(&a, i, git_dir, ref), text.data, &note))
                unlink(lock_path(&a, i, git_dir, ref));
    }
    foreign_lock_forget(r);
}

void foreign_lock_explain(const char *git_dir, const char *ref, struct err *e)
{
    ARENA_LOCAL(a);
    struct stat st;
    STR_LOCAL(command);
    for (size_t i = 0; i < LOCKED; i++) {
        const char *lock = lock_path(&a, i, git_dir, ref);
        if (lstat(lock, &st) < 0)
            continue;
        str_add_shell_word(&command, lock);
        err_set(e, ERR_BUSY, "%s is in the way: another git is at work there, or was killed and left it; when none runs, remove it (rm %s)",
                lock, command.data);
        return;
    }
}

int repo_unlock(struct repo *r, struct err *e)
{
    foreign_remove_facades(r);
    return git_remove_locks(r->path, e);
}
