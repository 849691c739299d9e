/* model/shelf.h - the files of models, each under the digest of its bytes.
 *
 * A folder that several Tandems may share: a file is written under a name of its own, synced,
 * and then given its name, so that whoever finds it finds all of it, and two who bring the same
 * model end with one file.  Nothing in it is ever changed.  Each of them has a second name for it
 * (DIGEST.USER.use, a hard link), and the last one takes the file away.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_SHELF_H
#define TANDEM_MODEL_SHELF_H

#include "base/digest.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;

/* "DIR/DIGEST.gguf"; in the arena. */
const char *shelf_path(struct arena *a, const char *dir, const char *digest);

struct shelf_options {
    const char *dir;      /* made when it is not there */
    const char *user;     /* a short word for who takes it; NULL: the folder has one user only */
    const char *expected; /* the digest it must have; NULL: none is known */
    const atomic_bool *cancel;
    /* Bytes copied so far, of all; may be NULL. */
    void (*progress)(int64_t done, int64_t total, void *ctx);
    void *ctx;
};

/* Copies a file into the folder (or finds that it is there already: *ret_was_there).
 * ERR_NOT_FOUND, ERR_FULL (says how much is needed; nothing is left behind), ERR_CONFLICT (another
 * digest than expected), ERR_CANCELLED, ERR_INVALID (not a regular file, or it changed meanwhile). */
int shelf_put(const char *path, const struct shelf_options *o, struct digest *ret, int64_t *ret_bytes, bool *ret_was_there,
              struct err *e);
/* The file stays while it has other users; `user` as when it was put there.  ERR_NOT_FOUND. */
int shelf_remove(const char *dir, const char *digest, const char *user, struct err *e);
/* Reads the whole file again; ERR_CORRUPT when it is not what its name says. */
int shelf_verify(const char *dir, const char *digest, const atomic_bool *cancel, struct err *e);

#endif
