/* release.h - DEV goes into the project's default branch.
 *
 * Forward when that branch has nothing that DEV lacks, otherwise by a merge that git makes
 * without conflict and the whole suite passes.  The result goes back to the person's
 * repository, or to the clone that the project's end left, by moving the branch there; a
 * branch that somebody has checked out is left alone.
 */
#ifndef TANDEM_RELEASE_H
#define TANDEM_RELEASE_H

#include "team/team.h"

struct release {
    const char *project, *branch;  /* "main" */
    const char *target;            /* the repository or clone it goes back to; "" for none */
    const char *checked_out;       /* the worktree there that has the branch; "" */
    struct oid from, dev;          /* where the branch stands there ("" when absent), and DEV */
    bool in_target;                /* the branch exists there */
    bool dirty;                    /* the worktree `checked_out` has changes */
    const char *take;              /* how a person takes over what is checked out, in lines; "" */
    bool nothing;                  /* the branch has all that DEV has */
    bool made;                     /* all is done here; only `take` is left */
    bool forward;
    size_t commits;                /* that come */
    struct texts subjects;         /* of those on DEV itself, newest first: "1a2b3c4d5e6f Merge ..." */
    struct diff_stats files;
    struct texts conflicts;        /* not empty: it cannot be released */
};

/* What would come.  ERR_REFUSED: there is nothing yet, or (unless `partial`) not everything
 * is in DEV yet. */
int team_release_look(struct team *t, struct arena *a, const char *project, bool partial, struct release *ret, struct err *e);

/* Releases what team_release_look showed.  *ret_note: lines for the person on what was left
 * for them to do, "" for nothing.  ERR_REFUSED: conflicts, or the suite fails on the merge. */
int team_release_make(struct team *t, struct arena *a, const struct release *w, const char *person, const char **ret_note,
                      struct err *e);

#endif
