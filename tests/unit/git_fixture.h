/* git_fixture.h - a project's repository "p.git" in a scratch directory, beside real git. */
#ifndef TANDEM_GIT_FIXTURE_H
#define TANDEM_GIT_FIXTURE_H

#include "check.h"
#include "scratch.h"

#include "os/sandbox.h"
#include "repo/git.h"

struct fixture {
    struct scratch s;
    struct repo *r;
    struct err e;
};

int fixture_set_up(void **state);
int fixture_tear_down(void **state);
#define with_repo(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

/* A sandbox for all tests of a program: set-up and tear-down of their group. */
extern struct sandbox *fixture_sandbox;
int fixture_open_sandbox(void **state);
int fixture_close_sandbox(void **state);

/* Frees the repository and opens it again, with nothing in its cache. */
void fixture_reopen(struct fixture *f);

/* "path", "text" pairs, NULL at the end; a NULL text deletes. */
struct oid tree_with(struct fixture *f, const struct oid *base, const char *const *pairs);
#define TREE(f, base, ...) tree_with((f), (base), (const char *const[]){ __VA_ARGS__, NULL })

struct oid commit_of(struct fixture *f, const struct oid *tree, const struct oid *parent, const char *message);
/* A commit of `parent`'s tree with changes, to which the branch is moved. */
struct oid commit_on(struct fixture *f, const char *branch, const struct oid *parent, const char *const *pairs);
#define COMMIT(f, branch, parent, ...) commit_on((f), (branch), (parent), (const char *const[]){ __VA_ARGS__, NULL })

/* Runs this test program again as "PROGRAM ACTION DIRECTORY" with the failpoint armed, and
 * fails the test unless that kills it.  (A copy by fork would lack threads.) */
void fixture_killed_at(struct fixture *f, const char *point, const char *action);
/* For that second run: the fixture of its directory. */
void fixture_resume(struct fixture *f, const char *dir);

/* "git --git-dir=p.git …" in a shell: its output. */
const char *git(struct fixture *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A shell script in the scratch directory: its output. */
const char *sh(struct fixture *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
