/* A clone that a person has: new work is brought into it, files and all, unless anything there is
 * theirs. */
#include "git_fixture.h"

#include <unistd.h>

static struct oid dev_of(struct fixture *f)
{
    struct oid dev;
    check_ok(repo_ref(f->r, "refs/heads/DEV", &dev, &f->e), &f->e);
    return dev;
}

/* A clone "out" of DEV with some files; the commit. */
static struct oid make_clone(struct fixture *f)
{
    struct oid base = COMMIT(f, "main", NULL, "a", "one\n", "d/b", "two\n", "gone/x", "old\n");
    COMMIT(f, "feature/x", &base, "f", "1\n");
    struct oid dev = COMMIT(f, "DEV", &base, "c", "three\n");
    check_ok(repo_clone_out(f->r, scratch_path(&f->s, "out"), "DEV", &f->e), &f->e);
    return dev;
}

static struct oid go_on(struct fixture *f, const struct oid *dev)
{
    return COMMIT(f, "DEV", dev, "a", "ONE\n", "d/new/e", "five\n", "gone/x", NULL);
}

static int forward(struct fixture *f, const struct oid *from, const struct oid *to)
{
    return repo_forward(f->r, scratch_path(&f->s, "out"), "DEV", from, to, &f->e);
}

/* All but the objects. */
static const char *files_of(struct fixture *f)
{
    return sh(f, "cd out; find . -path ./.git/objects -prune -o -type d -print -o -printf '%%p %%y %%s %%m %%T@\n' | sort");
}

static void is_forwarded(struct fixture *f, const struct oid *dev)
{
    assert_string_equal(sh(f, "cd out; git --no-optional-locks status --porcelain -b; git rev-parse DEV"), sh(f, "echo '## DEV'; echo %s", dev->hex));
    assert_string_equal(sh(f, "cd out; git diff-files; git diff-index --cached DEV; git fsck --strict --no-dangling 2>&1;"
                              "ls -A .git | grep -e tandem -e lock || :; find . -name '.tandem*'"), "");
    assert_string_equal(sh(f, "cd out; git ls-tree -r DEV --name-only | xargs cat"),
                        git(f, "ls-tree -r DEV --name-only | xargs -I{} git --git-dir=p.git show DEV:{}"));
}

static void files_and_index_follow_the_branch(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    check_ok(forward(f, &one, &two), &f->e);
    is_forwarded(f, &two);
    assert_string_equal(scratch_read(&f->s, "out/a"), "ONE\n");
    assert_string_equal(scratch_read(&f->s, "out/d/new/e"), "five\n");
    assert_false(scratch_has(&f->s, "out/gone/x"));
    check_ok(forward(f, &one, &two), &f->e); /* again */
    struct oid three = COMMIT(f, "DEV", &two, "d/new/e", NULL, "d/new/e/deep", "a file became a directory\n", "c", NULL);
    check_ok(forward(f, &two, &three), &f->e);
    is_forwarded(f, &three);
}

static void what_can_be_run_can_be_run_there(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = { "" }, tree;
    struct tree_change run = { .path = "a", .bytes = "one\n", .len = 4, .executable = true };
    check_ok(repo_write_tree(f->r, &one, &run, 1, &tree, &f->e), &f->e);
    two = commit_of(f, &tree, &one, "run");
    check_ok(repo_ref_move(f->r, "refs/heads/DEV", NULL, &two, &f->e), &f->e);
    check_ok(forward(f, &one, &two), &f->e);
    is_forwarded(f, &two);
    assert_string_equal(sh(f, "stat -c %%a out/a"), "755");
}

static void what_is_the_persons_beside_it_stays(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    sh(f, "cd out; echo mine >notes; mkdir build; echo o >build/x.o; mkdir .git/info; echo build >.git/info/exclude;"
          "git branch mine; git tag t; git config user.name Me");
    check_ok(forward(f, &one, &two), &f->e);
    assert_string_equal(sh(f, "cd out; git status --porcelain; cat notes build/x.o; git rev-parse mine t; git config user.name"),
                        sh(f, "echo '?? notes'; echo mine; echo o; echo %s; echo %s; echo Me", one.hex, one.hex));
}

static void anything_of_the_persons_in_the_way_is_named_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    static const char *const cases[][2] = {
        { "echo mine >a", "where a has changes that are not committed" },
        { "echo mine >c", "where c has changes that are not committed" }, /* nothing comes there */
        { "rm a", "where a has changes" },
        { "rm a; mkdir a; echo x >a/b", "where a has changes" },
        { "echo mine >gone/x", "where gone/x has changes" },
        { "mv a e; ln -s e a", "where a has changes" },
        { "echo x >elsewhere; mv d D; ln -s D d", "where d/b has changes" },
        { "mkdir d/new; echo mine >d/new/e", "where d/new/e lies where a new file comes" },
        { "echo mine >d/new", "where d/new/e lies where a new file comes" },
        { "ln -s .. d/new", "where d/new/e lies where a new file comes" },
        { "git rm -q --cached c", "where changes are staged" },
        { "echo x >notes; git add notes", "where changes are staged" },
        { "git rev-parse HEAD >.git/MERGE_HEAD", "where a merge or the like is under way" },
        { "touch .git/index.lock", "where .git/index.lock cannot be made (File exists)" },
        { "echo broken >.git/index", "where changes are staged" },
    };
    sh(f, "cp -a out pristine");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sh(f, "rm -rf out; cp -a pristine out; cd out; git status -s; %s", cases[i][0]);
        const char *before = files_of(f);
        check_err(forward(f, &one, &two), ERR_BUSY, &f->e, cases[i][1]);
        assert_string_equal(files_of(f), before);
    }
}

static void commits_of_the_persons_are_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    sh(f, "cd out; echo mine >m; git add m; git commit -qm mine");
    const char *before = files_of(f);
    check_err(forward(f, &one, &two), ERR_CONFLICT, &f->e, "was changed there meanwhile");
    assert_string_equal(files_of(f), before);
}

static void a_branch_that_is_not_checked_out_moves_alone(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    sh(f, "cd out; git checkout -q main; echo mine >a");
    check_ok(forward(f, &one, &two), &f->e);
    assert_string_equal(sh(f, "cd out; git rev-parse DEV; git status --porcelain -b; cat a"),
                        sh(f, "echo %s; echo '## main'; echo ' M a'; echo mine", two.hex));
}

static void a_branch_checked_out_elsewhere_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    sh(f, "cd out; git checkout -q main; git worktree add -q ../linked DEV");
    check_err(forward(f, &one, &two), ERR_BUSY, &f->e, "/linked");
    check_ok(repo_forward(f->r, scratch_path(&f->s, "linked"), "DEV", &one, &two, &f->e), &f->e);
    assert_string_equal(sh(f, "cd linked; git status --porcelain -b; cat a; git -C ../out status --porcelain -b"), "## DEV\nONE\n## main");
}

static void a_hostile_clone_runs_nothing(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    sh(f, "cd out; mkdir .git/info; echo '* filter=evil diff=evil' >.git/info/attributes; c=\"touch $PWD/../canary; cat\";"
          "git config core.fsmonitor \"$c\"; git config filter.evil.clean \"$c\"; git config filter.evil.smudge \"$c\";"
          "git config filter.evil.required true; git config diff.external \"$c\";"
          "git config core.alternateRefsCommand \"$c\"; git config alias.read-tree \"!$c\"; mkdir -p .git/hooks;"
          "for h in post-index-change reference-transaction post-checkout post-merge;"
          "do printf '#!/bin/sh\\ntouch %%s\\n' $PWD/../canary >.git/hooks/$h; chmod +x .git/hooks/$h; done; rm -f ../canary");
    check_ok(forward(f, &one, &two), &f->e);
    assert_false(scratch_has(&f->s, "canary"));
    assert_string_equal(scratch_read(&f->s, "out/a"), "ONE\n");
    sh(f, "mkdir precious; touch precious/x; ln -s ../../precious out/.git/tandem-forward");
    struct oid three = COMMIT(f, "DEV", &two, "a", "1\n");
    check_ok(forward(f, &two, &two), &f->e);
    check_err(forward(f, &two, &three), ERR_FAILED, &f->e, "tandem-forward");
    assert_true(scratch_has(&f->s, "precious/x"));
    sh(f, "cd out; rm a; git checkout -q a"); /* it bites otherwise */
    assert_true(scratch_has(&f->s, "canary"));
}

static void a_look_tells_what_a_branch_has(void **state)
{
    struct fixture *f = *state;
    struct oid one = make_clone(f), two = go_on(f, &one);
    struct peek p;
    const char *out = scratch_path(&f->s, "out");
    check_ok(repo_peek(f->r, &f->s.arena, out, "DEV", &one, &p, &f->e), &f->e);
    assert_string_equal(p.tip.hex, one.hex);
    assert_true(p.holds && p.has && !p.dirty);
    assert_non_null(strstr(p.checked_out, "/out"));
    sh(f, "cd out; echo mine >m; git add m; git commit -qm mine; echo more >m");
    check_ok(repo_peek(f->r, &f->s.arena, out, "DEV", &one, &p, &f->e), &f->e);
    assert_true(p.holds && p.has && p.dirty && !streq(p.tip.hex, one.hex));
    check_ok(repo_peek(f->r, &f->s.arena, out, "DEV", &two, &p, &f->e), &f->e);
    assert_false(p.holds || p.has);
    check_ok(repo_peek(f->r, &f->s.arena, out, "main", &one, &p, &f->e), &f->e);
    assert_true(p.holds && !p.has && streq(p.checked_out, ""));
    check_ok(repo_peek(f->r, &f->s.arena, out, "none", &one, &p, &f->e), &f->e);
    assert_string_equal(p.tip.hex, "");
    check_err(repo_peek(f->r, &f->s.arena, scratch_path(&f->s, "absent"), "DEV", &one, &p, &f->e), ERR_NOT_FOUND, &f->e, "absent");
}

/* ---- crashes ---- */

/* From where the clone stands to where DEV does. */
static int act(struct fixture *f)
{
    struct oid from = { "" }, dev = dev_of(f);
    memcpy(from.hex, sh(f, "git -C out rev-parse DEV"), 40);
    return forward(f, &from, &dev);
}

static void a_kill_midway_is_mended_by_doing_it_again(void **state)
{
    struct fixture *f = *state;
#ifndef TANDEM_FAILPOINTS
    (void)f;
    skip();
#else
    static const char *const points[] = { "repo.export", "repo.export_copied", "repo.export_moving", "repo.forward_staged", "repo.forward_files",
                                          "repo.export_files", "repo.export_moved" };
    struct oid one = make_clone(f), two = go_on(f, &one);
    sh(f, "cp -a out pristine");
    for (size_t i = 0; i < 2 * sizeof points / sizeof *points; i++) {
        sh(f, "rm -rf out; cp -a pristine out");
        check_ok(repo_ref_move(f->r, "refs/heads/DEV", NULL, &two, &f->e), &f->e);
        fixture_killed_at(f, points[i / 2], "forward");
        fixture_reopen(f);
        check_ok(repo_unlock(f->r, &f->e), &f->e);
        struct oid last = two;
        if (i % 2) /* with more to bring, which changes the same files again */
            last = COMMIT(f, "DEV", &two, "a", "1\n", "d/new/e", NULL, "g", "six\n");
        check_ok(act(f), &f->e);
        is_forwarded(f, &last);
    }
#endif
}

static void what_a_person_does_after_a_kill_is_theirs(void **state)
{
    struct fixture *f = *state;
#ifndef TANDEM_FAILPOINTS
    (void)f;
    skip();
#else
    struct oid one = make_clone(f), two = go_on(f, &one);
    fixture_killed_at(f, "repo.forward_files", "forward");
    fixture_reopen(f);
    assert_string_equal(scratch_read(&f->s, "out/a"), "ONE\n");
    assert_true(scratch_has(&f->s, "out/.git/index.lock"));
    sh(f, "cd out; echo mine >a");
    check_err(act(f), ERR_BUSY, &f->e, "a has changes that are not committed");
    assert_string_equal(scratch_read(&f->s, "out/a"), "mine\n");
    assert_false(scratch_has(&f->s, "out/.git/index.lock"));
    /* And when they take it back: */
    scratch_write(&f->s, "out/a", "ONE\n");
    struct oid three = COMMIT(f, "DEV", &two, "a", "1\n", "d/new/e", NULL);
    check_ok(act(f), &f->e);
    is_forwarded(f, &three);
#endif
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        struct fixture f;
        fixture_resume(&f, argv[2]);
        return act(&f);
    }
    const struct CMUnitTest tests[] = {
        with_repo(files_and_index_follow_the_branch),
        with_repo(what_can_be_run_can_be_run_there),
        with_repo(what_is_the_persons_beside_it_stays),
        with_repo(anything_of_the_persons_in_the_way_is_named_and_left_alone),
        with_repo(commits_of_the_persons_are_a_conflict),
        with_repo(a_branch_that_is_not_checked_out_moves_alone),
        with_repo(a_branch_checked_out_elsewhere_is_left_alone),
        with_repo(a_hostile_clone_runs_nothing),
        with_repo(a_look_tells_what_a_branch_has),
        with_repo(a_kill_midway_is_mended_by_doing_it_again),
        with_repo(what_a_person_does_after_a_kill_is_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
