/* model/orphans.h - model servers that outlived the Tandem that started them.
 *
 * Children die with their parent (process.h), so there should be none.  But one that holds
 * gigabytes is worth a second look: a server that changes its user loses the kernel's signal,
 * and one that hangs in a driver takes its time.  Each child is noted in a file of its own
 * beside its socket; what a note names is ended at the next start, if it is still that process.
 *
 * Threads: any, for different names.
 */
#ifndef TANDEM_MODEL_ORPHANS_H
#define TANDEM_MODEL_ORPHANS_H

#include <sys/types.h>

struct err;

/* Makes the directory (for its owner alone), ends what its notes name, and empties it.
 * ERR_TIMEOUT when one does not die. */
int orphans_end(const char *dir, struct err *e);
/* Writes "DIR/NAME.child".  Best effort. */
void orphan_note(const char *dir, const char *name, pid_t pid);
/* Removes it, and the socket "DIR/NAME.sock". */
void orphan_forget(const char *dir, const char *name);

#endif
