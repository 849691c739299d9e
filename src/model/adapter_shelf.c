/* adapter_shelf.c - taking the folders of adapters in.
 *
 * Links are refused, not followed: what they lead to is not in the folder, and would be another
 * thing in the sandbox.
 */
#include "model/adapter_shelf.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/adapter.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 1000, MAX_BYTES = 64 << 20, MIB = 1 << 20 };

const char *adapter_shelf_path(struct arena *a, const char *dir, const char *program)
{
    const char *digest = program + strlen(ADAPTER_SHELF_PREFIX);
    if (!starts_with(program, ADAPTER_SHELF_PREFIX) || strlen(digest) != DIGEST_HEX_LEN ||
        strspn(digest, "0123456789abcdef") != DIGEST_HEX_LEN)
        return NULL;
    return arena_printf(a, "%s/%s.adapter", dir, digest);
}

struct folder {
    const char *path;
    int fd;
    struct file_entry *entries; /* regular files only */
    size_t count;
};

static bool is_left_out(const char *path)
{
    static const char *const names[] = { ".git", "__pycache__", ".pytest_cache" };
    for (const char *part = path; *part; part += strcspn(part, "/"), part += *part == '/')
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcspn(part, "/") == strlen(names[i]) && starts_with(part, names[i]))
                return true;
    return false;
}

/* Keeps the files of the list. */
static int sort_out(struct folder *f, struct err *e)
{
    int64_t bytes = 0;
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct file_entry *entry = &f->entries[i];
        if (is_left_out(entry->path) || S_ISDIR(entry->mode))
            continue;
        if (S_ISLNK(entry->mode))
            return err_set(e, ERR_INVALID, "%s/%s is a link; put what it leads to in its place", f->path, entry->path);
        if (!S_ISREG(entry->mode))
            return err_set(e, ERR_INVALID, "%s/%s is not a regular file", f->path, entry->path);
        bytes += entry->size;
        f->entries[kept++] = *entry;
    }
    f->count = kept;
    if (kept > MAX_FILES)
        return err_set(e, ERR_LIMIT, "%s has %zu files, and an adapter may have %d; keep what it does not need elsewhere", f->path, kept, MAX_FILES);
    if (bytes > MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%s holds %lld MiB, and an adapter may hold %d; the model's file is imported beside it", f->path,
                       (long long)(bytes / MIB), MAX_BYTES / MIB);
    return 0;
}

static int check_program(const struct folder *f, struct err *e)
{
    for (size_t i = 0; i < f->count; i++) {
        if (!streq(f->entries[i].path, ADAPTER_PROGRAM))
            continue;
        if (!(f->entries[i].mode & 0111))
            return err_set(e, ERR_INVALID, "%s/" ADAPTER_PROGRAM " is not executable: chmod +x it", f->path);
        return 0;
    }
    return err_set(e, ERR_INVALID, "%s has no program \"" ADAPTER_PROGRAM "\"; if it has a Makefile, run `make -C %s` first", f->path, f->path);
}

static int open_folder(struct arena *a, const char *path, struct folder *ret, struct err *e)
{
    struct folder f = { .path = path, .fd = -1 };
    int r = dir_open(path, false, &f.fd, e);
    if (r < 0)
        return r == ERR_NOT_FOUND ? err_set(e, r, "there is no folder %s", path) : r;
    r = file_list(f.fd, a, 20 * MAX_FILES, &f.entries, &f.count, e);
    if (r == 0)
        r = sort_out(&f, e);
    if (r == 0)
        r = check_program(&f, e);
    if (r < 0) {
        close(f.fd);
        return r;
    }
    *ret = f;
    return 0;
}

int adapter_folder_check(const char *folder, struct err *e)
{
    ARENA_LOCAL(a);
    struct folder f;
    int r = open_folder(&a, folder, &f, e);
    if (r == 0)
        close(f.fd);
    return r;
}

/* ---- taking in ---- */

static int copy_one(const struct folder *f, size_t i, int to, struct digest_stream *digest, struct err *e)
{
    STR_LOCAL(bytes);
    STR_LOCAL(head);
    const struct file_entry *entry = &f->entries[i];
    bool runs = entry->mode & 0111;
    int r = file_read(f->fd, entry->path, MAX_BYTES, &bytes, e);
    if (r < 0)
        return err_prefix(e, "%s", f->path);
    str_addf(&head, "%s%c%c%zu%c", entry->path, 0, runs ? 'x' : '-', bytes.len, 0);
    digest_add(digest, head.data, head.len);
    digest_add(digest, bytes.data, bytes.len);
    return file_write(to, entry->path, bytes.data, bytes.len, runs ? 0755 : 0644, true, e);
}

static int copy_all(const struct folder *f, int to, struct digest *ret, struct err *e)
{
    struct digest_stream *digest = digest_begin();
    int r = 0;
    for (size_t i = 0; r == 0 && i < f->count; i++)
        r = copy_one(f, i, to, digest, e);
    *ret = digest_end(digest);
    return r;
}

/* Empties and removes the folder `name`. */
static int remove_folder(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int r = dir_empty(fd, NULL);
    close(fd);
    return r == 0 ? unlinkat(dir, name, AT_REMOVEDIR) : -1;
}

static int put(struct arena *a, const struct folder *f, int dir, struct digest *ret, bool *ret_was_there, struct err *e)
{
    const char *half = arena_printf(a, ".new-%ld-%d.adapter", (long)getpid(), f->fd);
    remove_folder(dir, half);
    if (mkdirat(dir, half, 0755) < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make a folder for the adapter %s", f->path);
    int to = openat(dir, half, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = to < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot open the folder for the adapter %s", f->path) : copy_all(f, to, ret, e);
    if (to >= 0)
        close(to);
    const char *name = arena_printf(a, "%s.adapter", ret->hex);
    *ret_was_there = r == 0 && faccessat(dir, name, F_OK, 0) == 0;
    if (r == 0 && !*ret_was_there && renameat(dir, half, dir, name) < 0) {
        *ret_was_there = errno == ENOTEMPTY || errno == EEXIST; /* another Tandem was faster */
        r = *ret_was_there ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot take the adapter %s in", f->path);
    }
    if (r < 0 || *ret_was_there)
        remove_folder(dir, half);
    else
        fsync(dir);
    return r;
}

int adapter_shelf_put(struct arena *a, const char *folder, const char *dir, const char **ret_program, bool *ret_was_there, struct err *e)
{
    struct folder f;
    struct digest digest = { "" };
    int shelf = -1;
    bool was_there = false;
    int r = open_folder(a, folder, &f, e);
    if (r < 0)
        return r;
    r = dir_open(dir, true, &shelf, e);
    if (r == 0)
        r = put(a, &f, shelf, &digest, &was_there, e);
    close(f.fd);
    if (shelf >= 0)
        close(shelf);
    if (r == 0) {
        *ret_program = arena_printf(a, ADAPTER_SHELF_PREFIX "%s", digest.hex);
        *ret_was_there = was_there;
    }
    return r;
}

int adapter_shelf_remove(const char *dir, const char *program, struct err *e)
{
    ARENA_LOCAL(a);
    int fd;
    const char *path = adapter_shelf_path(&a, dir, program);
    int r = path ? dir_open(dir, false, &fd, e) : ERR_NOT_FOUND;
    if (r < 0)
        return err_set(e, ERR_NOT_FOUND, "there is no adapter %s in %s", program, dir);
    r = remove_folder(fd, path + strlen(dir) + 1) < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot remove the adapter %s", program) : 0;
    close(fd);
    return r;
}
