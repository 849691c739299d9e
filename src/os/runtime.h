/* runtime.h - where the sockets of a home are.
 *
 * A socket's path has at most 107 bytes, and a home may lie deep; so each home has a short
 * directory of its own, named by the digest of its path, where the system keeps such things:
 * $XDG_RUNTIME_DIR/tandem/, else /tmp/tandem-UID/.  It is its owner's alone: whoever can open
 * a socket in it is that person.
 *
 * Threads: any.
 */
#ifndef TANDEM_RUNTIME_H
#define TANDEM_RUNTIME_H

#include <stdbool.h>

struct arena;
struct err;

/* Makes it when it is not there (`create`), and makes sure that it is ours: a directory of ours
 * that nobody else can enter, not a link.  ERR_REFUSED says what is wrong with it. */
int runtime_dir(struct arena *a, const char *home, bool create, const char **ret, struct err *e);

/* Removes it and its folder of models when nothing is left in them: for who has the home's lock, as only
 * that process makes anything in it. */
void runtime_dir_leave(struct arena *a, const char *home);

/* What a home is, whatever path leads to it: device and inode of its directory; "" when it is not there. */
const char *home_identity(struct arena *a, const char *home);

#endif
