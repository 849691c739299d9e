/* files.h - files beneath a root that nobody can make us leave.
 *
 * Paths are relative, resolved by openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS:
 * "..", absolute paths and symbolic links are ERR_REFUSED, whoever put them there; so is
 * anything that is not a regular file.  A path that does not exist is ERR_NOT_FOUND, a full
 * disk ERR_FULL.  Needs Linux 5.6 (ERR_UNAVAILABLE).
 *
 * Threads: any; nothing here is shared but the file system.
 */
#ifndef TANDEM_FILES_H
#define TANDEM_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct err;
struct str;

/* Opens a directory by ordinary path; when `create`, makes it and its parents, for their
 * owner alone (0700). */
int dir_open(const char *path, bool create, int *ret_fd, struct err *e);

/* Appends the whole file, at most `max` bytes (ERR_LIMIT); `out` is as before on failure. */
int file_read(int root_fd, const char *path, size_t max, struct str *out, struct err *e);
/* Makes parents as needed; writes through a temporary name and renames, so that readers
 * see the old bytes or the new ones; `sync`: durable when it returns. */
int file_write(int root_fd, const char *path, const void *bytes, size_t len, mode_t mode, bool sync, struct err *e);
/* Makes parents as needed and a new file (ERR_EXISTS) without the rename; for filling
 * empty rooms.  Parents get 0777 less the umask, the file exactly `mode`. */
int file_create(int root_fd, const char *path, const void *bytes, size_t len, mode_t mode, struct err *e);
/* Renames a regular file to a place below another root of the same file system; parents as for
 * file_create, and a file that lies there is replaced. */
int file_move(int from_fd, const char *from, int to_fd, const char *to, struct err *e);
/* A file or a symbolic link itself, not a directory. */
int file_remove(int root_fd, const char *path, struct err *e);
/* Appends where a symbolic link leads; ERR_REFUSED: something else lies there. */
int file_read_link(int root_fd, const char *path, struct str *out, struct err *e);
/* Anything at all lies at `path`; false when it leads through a link. */
bool file_exists(int root_fd, const char *path);

struct file_entry {
    const char *path; /* relative to the root */
    mode_t mode;      /* type and permissions */
    int64_t size;
};
/* All entries below the root (directories too), sorted by path in byte order; symbolic links
 * are listed, never followed.  More than `max` entries, or deeper than 128: ERR_LIMIT. */
int file_list(int root_fd, struct arena *a, size_t max, struct file_entry **ret, size_t *ret_count, struct err *e);

/* Deletes everything below the root (the root itself stays), also in directories without
 * permissions and at any depth.  Nobody else may be writing there meanwhile. */
int dir_empty(int root_fd, struct err *e);

/* Copies what lies below one directory into another, an empty one: regular files (0644, or 0755
 * where they can be run), directories (0755) and links as they are; nothing else.  ERR_LIMIT
 * says what is too much, ERR_FULL; what was copied until then stays. */
int dir_copy(int from_fd, int to_fd, int64_t max_bytes, size_t max_entries, struct err *e);

/* Writes all of it to an open descriptor; -1 and errno when that fails.  May be called in a signal
 * handler. */
int fd_write(int fd, const void *bytes, size_t len);

/* Reads a file by ordinary path (what a person named on the command line). */
int file_read_path(const char *path, size_t max, struct str *out, struct err *e);

/* An exclusive lock on `path`, held until the descriptor is closed or the process ends.
 * The file then holds our process id.  ERR_BUSY names the holder's. */
int lock_take(const char *path, int *ret_fd, struct err *e);
/* Whether the process whose id it holds lives: without a lock, which could keep somebody from taking it. */
bool lock_has_holder(const char *path);

#endif
