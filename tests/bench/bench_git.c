/* bench_git.c - what git costs us, beside the git commands that do the same.
 *
 * Repositories are made in the current directory.  The bare counterparts are one shell with
 * git's plumbing, as a person would write it, with the same syncing (core.fsync=all).
 */
#include "bench.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"
#include "os/process.h"
#include "repo/git.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 50, COMMITS = 60, CHECKOUTS = 60 };

static char root[] = "bench-git-XXXXXX";
static char cwd[4096];

static void need(int code, const struct err *e)
{
    if (code == 0)
        return;
    fprintf(stderr, "bench_git: %s\n", e->text);
    exit(1);
}

static double ms_since(int64_t start_us)
{
    return (double)(clock_steady_us() - start_us) / 1000;
}

static void sh(const char *script)
{
    struct err e;
    const char *env[] = { "PATH=" PROCESS_PATH, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a",
                          "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_DIR=bare.git",
                          "GIT_INDEX_FILE=bare.git/index", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsync", "GIT_CONFIG_VALUE_0=all", NULL };
    struct process_options o = { .argv = (const char *const[]){ "sh", "-euc", script, NULL }, .env = env, .cwd = cwd, .timeout_ms = 60000 };
    struct process_result p;
    need(process_run(&o, &p, &e), &e);
    if (p.end != PROCESS_EXITED || p.status)
        need(err_set(&e, ERR_FAILED, "%s: %s", script, p.err.data), &e);
    process_result_release(&p);
}

/* A tree of 50 files in 5 directories, 2 KiB each, committed. */
static struct oid make_project(struct repo *r)
{
    struct err e;
    ARENA_LOCAL(a);
    struct tree_change *changes = ARENA_ARRAY(&a, struct tree_change, FILES);
    for (int i = 0; i < FILES; i++) {
        STR_LOCAL(text);
        for (int line = 0; line < 60; line++)
            str_addf(&text, "int function_%d_%d(void) { return %d; }\n", i, line, line * i);
        changes[i] = (struct tree_change){ .path = arena_printf(&a, "src/part%d/file%d.c", i % 5, i),
                                           .bytes = arena_strdup(&a, text.data), .len = text.len };
    }
    struct commit_intent c = { .message = "base", .time_s = 1 };
    struct oid id;
    need(repo_write_tree(r, NULL, changes, FILES, &c.tree, &e), &e);
    need(repo_commit(r, &c, &id, &e), &e);
    need(repo_ref_move(r, "refs/heads/DEV", NULL, &id, &e), &e);
    return id;
}

static void commit_ours(struct repo *r, struct oid *tip, int number)
{
    struct err e;
    char text[64];
    snprintf(text, sizeof text, "int changed(void) { return %d; }\n", number);
    struct commit_intent c = { .message = "change", .parents = { *tip }, .time_s = number };
    struct tree_change change = { .path = "src/part3/file3.c", .bytes = text, .len = strlen(text) };
    struct oid next;
    need(repo_write_tree(r, tip, &change, 1, &c.tree, &e), &e);
    need(repo_commit(r, &c, &next, &e), &e);
    need(repo_ref_move(r, "refs/heads/DEV", tip, &next, &e), &e);
    *tip = next;
}

static void bench_commits(struct repo *r, struct oid tip)
{
    double ours[COMMITS], bare[COMMITS];
    commit_ours(r, &tip, COMMITS); /* the helpers start */
    for (int i = 0; i < COMMITS; i++) {
        int64_t start = clock_steady_us();
        commit_ours(r, &tip, i);
        ours[i] = ms_since(start);
        start = clock_steady_us();
        sh("old=$(git rev-parse refs/heads/DEV); git read-tree $old; blob=$(echo \"int changed(void) { return $$; }\" | git hash-object -w --stdin);"
           "echo \"100644 blob $blob\tsrc/part3/file3.c\" | git update-index --index-info; tree=$(git write-tree);"
           "new=$(echo change | git commit-tree -p $old $tree); echo \"update refs/heads/DEV $new $old\" | git update-ref --stdin");
        bare[i] = ms_since(start);
    }
    double value = bench_median(ours, COMMITS), beside = bench_median(bare, COMMITS);
    bench_row("durable commit of one changed file, beside git's plumbing", "ms", value, beside, "<= 0.5 x bare", value <= 0.5 * beside);
}

static double checkout_once(struct repo *r, const struct oid *commit, int number)
{
    struct err e;
    char name[64];
    snprintf(name, sizeof name, "ours%d", number);
    mkdir(name, 0755);
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t start = clock_steady_us();
    need(repo_checkout(r, commit, fd, &e), &e);
    double ms = ms_since(start);
    close(fd);
    return ms;
}

static void bench_checkouts(struct repo **r, const struct oid *commit)
{
    static double warm[CHECKOUTS], cold[CHECKOUTS], index_bare[CHECKOUTS], archive_bare[CHECKOUTS];
    struct err e;
    for (int i = 0; i < CHECKOUTS; i++) {
        repo_free(*r);
        need(repo_open(r, "ours.git", &e), &e);
        cold[i] = checkout_once(*r, commit, 2 * i);
        warm[i] = checkout_once(*r, commit, 2 * i + 1);
        int64_t start = clock_steady_us();
        sh("git read-tree DEV~0; git --work-tree=. checkout-index -a --prefix=index$$/");
        index_bare[i] = ms_since(start);
        start = clock_steady_us();
        sh("mkdir archive$$; git archive DEV | tar -C archive$$ -xf -");
        archive_bare[i] = ms_since(start);
    }
    double index_ms = bench_median(index_bare, CHECKOUTS), archive_ms = bench_median(archive_bare, CHECKOUTS);
    double warm_ms = bench_median(warm, CHECKOUTS), cold_ms = bench_median(cold, CHECKOUTS);
    bench_row("checkout of 50 files, beside git checkout-index", "ms", warm_ms, index_ms, "<= 2 ms or 0.75 x bare",
              warm_ms <= 2 || warm_ms <= 0.75 * index_ms);
    bench_row("checkout of 50 files, helper not started, beside git archive | tar", "ms", cold_ms, archive_ms, "<= bare", cold_ms <= archive_ms);
}

int main(void)
{
    struct err e;
    struct repo *r;
    if (!mkdtemp(root) || chdir(root) < 0 || !getcwd(cwd, sizeof cwd))
        return 1;
    need(repo_create("ours.git", "main", &e), &e);
    need(repo_open(&r, "ours.git", &e), &e);
    struct oid tip = make_project(r);
    sh("git init -q --bare bare.git; git fetch -q ours.git '+refs/heads/*:refs/heads/*'");
    bench_commits(r, tip);
    bench_checkouts(&r, &tip);
    repo_free(r);
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(dir_empty(fd, &e), &e);
    close(fd);
    return chdir("..") < 0 || rmdir(root) < 0;
}
