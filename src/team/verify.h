/* verify.h - proves once more what the store says was proven.
 *
 * The log's chain and every document and blob; then, for each criterion: that its red and
 * green commits exist as witnessed (tree, trailers, the event behind them, the branch they
 * are on, the tests untouched between them), that the tests fail on the red tree for the
 * stored reason and pass on the green one; for criteria that were met already, that the
 * tests fail on the stored base or mutant; that merges leave tests as they are; that a ticket's base is the merge of what it builds on.  What is in DEV passes all tests of its tickets.
 * The judgements are those of the steps (judge.h), so that what was accepted then is what is
 * accepted now.
 *
 * Only reads: works beside a running writer and on a copy of a home.
 */
#ifndef TANDEM_VERIFY_H
#define TANDEM_VERIFY_H

#include "team/team.h"

struct verify_wish {
    const char *project; /* NULL: all projects of the home */
    const char *ticket;  /* "T-3"; NULL: all; needs a project */
    int64_t jobs;        /* trees tested at a time */
};

/* About what, and one sentence. */
struct verify_finding {
    const char *project; /* "": the home */
    const char *ticket;  /* "T-3", "F-1"; "" */
    int64_t criterion;   /* from 1; 0: none */
    const char *text;
};

struct verify_watcher {
    /* What does not hold. */
    void (*fault)(const struct verify_finding *f, void *ctx);
    /* What is worth knowing: a test that changed its mind, a person who changed tests in a merge. */
    void (*note)(const struct verify_finding *f, void *ctx);
    /* `done` of `all` trees are tested; `what` is the last.  From any thread, one at a time. */
    void (*moved)(int64_t done, int64_t all, const char *what, void *ctx);
    void *ctx;
};

struct verify_count { int64_t faults, events, projects, tickets, criteria, commits, trees; };

/* A team of a house for looking (house_look) suffices.  Faults are findings, not errors; ERR_NOT_FOUND:
 * there is no such project or ticket; ERR_CANCELLED. */
int team_verify(struct team *t, const struct verify_wish *w, const struct verify_watcher *v,
                struct verify_count *ret, struct err *e);

#endif
