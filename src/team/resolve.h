/* resolve.h - a merge that neither git nor the Developer managed, done by a person.
 *
 * A ticket's branch with its functionality's, or a functionality's with DEV, or what a ticket
 * builds on.  The person gets
 * a clone in which the merge is under way, or a text with markers; what comes back is taken
 * file by file, run through the whole suite, and committed under the person's name.  The
 * ticket then goes on where it stood.
 *
 * Others may work on the project meanwhile; what is merged is what was looked at.
 */
#ifndef TANDEM_RESOLVE_H
#define TANDEM_RESOLVE_H

#include "team/team.h"

struct resolve {
    const char *project, *thing;             /* "T-3", "F-1" */
    const char *ours_name, *theirs_name;     /* branches; theirs goes into ours */
    const char *ours_is, *theirs_is;         /* what that is, in words */
    const char *ours, *theirs;               /* commits */
    const char *tree;                        /* merged, with markers */
    struct texts conflicts;                  /* paths; empty: git merges, and the suite fails */
    struct texts unmarked;                   /* of those: binary, or gone on one side; a person chooses a side */
    const char *why;                         /* it is blocked */
    const char *dir;                         /* where this merge was opened before, wholly or not; "" */
    bool changes_tests;                      /* set by the caller: the person means to, and the evidence says so */
    bool pending;                            /* taken before a crash: team_resolve_take ends it */
};

/* ERR_NOT_FOUND; ERR_REFUSED: it is not blocked by a merge. */
int team_resolve_look(struct team *t, struct arena *a, const char *project, const char *thing, struct resolve *ret,
                      struct err *e);

/* Makes the clone at `dir`, which is absent, empty (ERR_EXISTS), or of an attempt that was interrupted. */
int team_resolve_open(struct team *t, const struct resolve *w, const char *dir, const char *person, struct err *e);

/* What differs in the clone from the merge as it was opened, whatever git there says.  Files
 * that the merge does not have are left out (*ret_left_out); a link in the place of a file is
 * ERR_REFUSED.  ERR_NOT_FOUND: it was not opened, or not wholly, or is gone. */
int team_resolve_read(struct team *t, struct arena *a, const struct resolve *w, struct tree_change **ret, size_t *ret_count,
                      struct texts *ret_left_out, struct err *e);

/* One file with its markers. */
int team_resolve_file(struct team *t, struct arena *a, const struct resolve *w, const char *path, const char **ret,
                      size_t *ret_len, struct err *e);

/* Takes the changes: *ret_fault is "" when the merge is made and the ticket goes on, else one
 * sentence why not (*ret_output: which tests failed and why), and nothing has changed. */
int team_resolve_take(struct team *t, struct arena *a, const struct resolve *w, const struct tree_change *changes,
                      size_t count, const char *person, const char **ret_fault, const char **ret_output, struct err *e);

#endif
