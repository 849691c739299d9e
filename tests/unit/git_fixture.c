/* git_fixture.c - see git_fixture.h. */
#include "git_fixture.h"

#include "os/process.h"

#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

int fixture_set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ 0 };
    scratch_make(&f.s);
    setenv("TMPDIR", f.s.path, 1); /* what a killed process leaves goes with it */
    check_ok(repo_create(scratch_path(&f.s, "p.git"), "main", &f.e), &f.e);
    check_ok(repo_open(&f.r, scratch_path(&f.s, "p.git"), &f.e), &f.e);
    *state = &f;
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    repo_free(f->r);
    scratch_remove(&f->s);
    return 0;
}

struct sandbox *fixture_sandbox;

int fixture_open_sandbox(void **state)
{
    (void)state;
    struct err e;
    check_ok(sandbox_open(&fixture_sandbox, SANDBOX_BWRAP, NULL, &e), &e);
    return 0;
}

int fixture_close_sandbox(void **state)
{
    (void)state;
    sandbox_free(fixture_sandbox);
    return 0;
}

void fixture_reopen(struct fixture *f)
{
    repo_free(f->r);
    f->r = NULL;
    check_ok(repo_open(&f->r, scratch_path(&f->s, "p.git"), &f->e), &f->e);
}

void fixture_resume(struct fixture *f, const char *dir)
{
    *f = (struct fixture){ 0 };
    snprintf(f->s.path, sizeof f->s.path, "%s", dir);
    arena_init(&f->s.arena);
    fixture_reopen(f);
}

void fixture_killed_at(struct fixture *f, const char *point, const char *action)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    const char *env[] = { arena_printf(&f->s.arena, "TANDEM_FAILPOINT=%s", point),
                          arena_printf(&f->s.arena, "TMPDIR=%s", f->s.path), NULL };
    struct process_options o = {
        .argv = (const char *const[]){ self, action, f->s.path, NULL },
        .env = env,
        .timeout_ms = 60 * 1000,
    };
    struct process_result p;
    check_ok(process_run(&o, &p, &f->e), &f->e);
    if (p.end != PROCESS_SIGNALLED || p.status != SIGKILL)
        fail_msg("%s was not reached: %d %d %s%s", point, (int)p.end, p.status, p.out.data, p.err.data);
    process_result_release(&p);
}

struct oid tree_with(struct fixture *f, const struct oid *base, const char *const *pairs)
{
    struct tree_change changes[32];
    size_t count = 0;
    for (; pairs[2 * count]; count++)
        changes[count] = (struct tree_change){ .path = pairs[2 * count], .bytes = pairs[2 * count + 1],
                                               .len = pairs[2 * count + 1] ? strlen(pairs[2 * count + 1]) : 0 };
    struct oid tree;
    check_ok(repo_write_tree(f->r, base, changes, count, &tree, &f->e), &f->e);
    return tree;
}

struct oid commit_of(struct fixture *f, const struct oid *tree, const struct oid *parent, const char *message)
{
    struct commit_intent c = { .tree = *tree, .message = message, .time_s = 1700000000 };
    if (parent)
        c.parents[0] = *parent;
    struct oid id;
    check_ok(repo_commit(f->r, &c, &id, &f->e), &f->e);
    return id;
}

struct oid commit_on(struct fixture *f, const char *branch, const struct oid *parent, const char *const *pairs)
{
    struct oid tree = tree_with(f, parent, pairs), id = commit_of(f, &tree, parent, branch);
    check_ok(repo_ref_move(f->r, arena_printf(&f->s.arena, "refs/heads/%s", branch), NULL, &id, &f->e), &f->e);
    return id;
}

const char *sh(struct fixture *f, const char *fmt, ...)
{
    STR_LOCAL(script);
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&script, fmt, ap);
    va_end(ap);
    return scratch_sh(&f->s, script.data);
}

const char *git(struct fixture *f, const char *fmt, ...)
{
    STR_LOCAL(script);
    str_add(&script, "git --git-dir=p.git ");
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&script, fmt, ap);
    va_end(ap);
    return scratch_sh(&f->s, script.data);
}
