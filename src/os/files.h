/* files.h - files beneath a root that nobody can make us leave.
 *
 * Paths are relative, resolved by openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS:
 * "..", absolute paths and links are errors, whoever put them there.
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

/* Opens a directory; makes it (and its parents) when `create`. */
int dir_open(const char *path, bool create, int *ret_fd, struct err *e);

/* Whole file, at most `max` bytes (ERR_LIMIT). */
int file_read(int root_fd, const char *path, size_t max, struct str *out, struct err *e);
/* Makes parents as needed; writes through a temporary name and renames; `sync`: durable. */
int file_write(int root_fd, const char *path, const void *bytes, size_t len, mode_t mode, bool sync, struct err *e);
/* Creates a new file below fresh directories without the rename; for filling empty rooms. */
int file_create(int root_fd, const char *path, const void *bytes, size_t len, mode_t mode, struct err *e);
int file_remove(int root_fd, const char *path, struct err *e);
bool file_exists(int root_fd, const char *path);

struct file_entry {
    const char *path; /* relative to the root */
    mode_t mode;      /* type and permissions */
    int64_t size;
};
/* All entries below the root, sorted by path; symbolic links are listed, never followed.
 * More than `max` entries: ERR_LIMIT. */
int file_list(int root_fd, struct arena *a, size_t max, struct file_entry **ret, size_t *ret_count, struct err *e);

/* Deletes everything below the root (the root itself stays), also in directories without permissions. */
int dir_empty(int root_fd, struct err *e);

/* Reads a file by ordinary path (what a person named on the command line). */
int file_read_path(const char *path, size_t max, struct str *out, struct err *e);

/* An exclusive lock on `path`, held until the descriptor is closed or the process ends.
 * The file then holds our process id.  ERR_BUSY names the holder's. */
int lock_take(const char *path, int *ret_fd, struct err *e);

#endif
