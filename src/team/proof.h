/* proof.h - what the files of verify share: one project being proven (internal to verify).
 *
 *   verify.c        the home, the projects, the test runs
 *   proof_commit.c  commits: the events behind them, the branches they are on
 *   proof_base.c    what a ticket begins with
 *   proof_claim.c   what is claimed of trees, and whether a run bears it out
 */
#ifndef TANDEM_PROOF_H
#define TANDEM_PROOF_H

#include "base/set.h"
#include "team/step.h"
#include "team/verify.h"

/* An event that a commit rests on. */
struct witness {
    int64_t seq;
    const char *hash, *kind, *ticket, *tree;
    const json_t *payload;
};
struct witnesses { struct witness *items; size_t count, cap; }; /* sorted by hash */

enum claim_kind {
    CLAIM_RED,   /* the criterion's tests fail for the stored reason */
    CLAIM_GREEN, /* they pass, and what passed before */
    CLAIM_UNMET, /* they fail: here the criterion is not met */
    CLAIM_WHOLE, /* a result passes all tests that prove it */
};
struct claim {
    int kind;
    const char *what;     /* "the red commit 1a2b3c4d5e6f" */
    const char *about;    /* "T-3", "F-1" */
    int64_t criterion;    /* from 1; 0: none */
    const char *tree;
    const struct ticket *ticket;
    const struct evidence *evidence; /* NULL for WHOLE */
    const char *before;   /* RED: the tree before the Tester's answer */
    struct texts tests;
    const char *fault;    /* NULL: holds (or was not tested yet) */
    const char *note;     /* NULL: none */
};

struct proof {
    struct team *team;
    struct site *site;
    struct arena *arena;
    const struct verify_watcher *watcher;
    struct verify_count *count;
    const char *id;
    struct project project;
    const char *only;     /* "T-3"; NULL: everything */
    struct store_found tickets, functionalities;
    struct repo_refs refs;
    struct witnesses witnesses;
    struct claim *claims;
    size_t claim_count, claim_cap;
};

static inline const struct ticket *proof_ticket(const struct proof *p, size_t i)
{
    return (const struct ticket *)p->tickets.docs + i;
}

void proof_fault(struct proof *p, const char *about, int64_t criterion, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

void proof_note(struct proof *p, const char *about, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- proof_commit.c ---- */

/* All events of the project that commits rest on. */
int witnesses_load(struct proof *p, struct err *e);

/* What is known of a commit; each part that does not hold is a fault. */
struct commit_known {
    const char *about;   /* "T-3" */
    int64_t criterion;
    const char *name;    /* "red" */
    const char *commit, *tree;
    const char *kind;    /* of the event behind it */
};
/* *ret_witness is NULL when there is none.  false: there is no such commit. */
bool commit_holds(struct proof *p, const struct commit_known *k, struct commit_info *ret, const struct witness **ret_witness);

/* The event that a commit names, NULL when the log does not have it; false: it names none. */
bool witness_behind(struct proof *p, const struct commit_info *info, const struct witness **ret);

/* The commits of a branch, newest first, back to `base` (not included).  Those that no event
 * witnessed are faults. */
struct texts branch_walk(struct proof *p, const char *about, const char *branch, const char *base);

/* ---- proof_base.c ---- */

/* The ticket's base holds what it builds on, by merges made for it and nothing else. */
void base_prove(struct proof *p, const struct ticket *t, const char *about);

/* A merge leaves the tests of both sides as they are, unless its witness says that a person meant
 * to change them, which is noted.  `w` may be NULL. */
void merge_look(struct proof *p, const char *about, const char *commit, const struct commit_info *info, const struct witness *w);

/* ---- proof_claim.c ---- */

/* Looks at the documents and commits of one ticket, and makes the claims that only test runs
 * can bear out.  `feature`: the commits of its functionality's branch. */
void ticket_prove(struct proof *p, const struct ticket *t, const struct texts *feature);
void claim_add(struct proof *p, const struct claim *c);
/* "" when the run bears the claim out.  Any thread; in `a`. */
const char *claim_judge(struct proof *p, const struct claim *c, const struct suite_run *run, struct arena *a);
/* Adds the tests that prove the ticket's criteria, less the flaky ones, and (for a ticket without
 * criteria of its own) those that passed at its base. */
void ticket_tests(const struct ticket *t, struct set *to);

#endif
