/* A merge left to a person, and one branch of their repository looked at. */
#include "git_fixture.h"

static const struct oid none = { "" };

/* "topic" and "main" have both changed a; main alone b, and topic has deleted c, which main
 * changed. */
static struct oid make_conflict(struct fixture *f)
{
    struct oid base = COMMIT(f, "main", NULL, "a", "one\ntwo\nthree\n", "b", "b\n", "c", "c\n");
    COMMIT(f, "topic", &base, "a", "one\nTWO\nthree\n", "c", (const char *)NULL);
    return base;
}

static struct oid theirs_of(struct fixture *f, const struct oid *base)
{
    return COMMIT(f, "main", base, "a", "one\nzwei\nthree\n", "b", "B\n", "c", "C\n");
}

static void open_conflict(struct fixture *f, const struct oid *theirs)
{
    const char *out = scratch_path(&f->s, "out");
    check_ok(repo_clone_conflict(f->r, out, "topic", theirs, "Merge main\n", &f->e), &f->e);
    assert_true(repo_clone_unfinished(out));
    check_ok(repo_clone_conflict(f->r, out, "topic", theirs, "Merge main\n", &f->e), &f->e); /* until it is finished */
    check_ok(repo_clone_finish(out, &f->e), &f->e);
}

static void a_conflict_becomes_an_ordinary_merge_under_way(void **state)
{
    struct fixture *f = *state;
    struct oid base = make_conflict(f), theirs = theirs_of(f, &base);
    open_conflict(f, &theirs);
    assert_string_equal(sh(f, "cd out; git status --porcelain"), "UU a\nM  b\nDU c");
    assert_string_equal(scratch_read(&f->s, "out/a"), "one\n<<<<<<< ours\nTWO\n=======\nzwei\n>>>>>>> theirs\nthree\n");
    assert_string_equal(scratch_read(&f->s, "out/b"), "B\n");
    assert_string_equal(sh(f, "cd out; git for-each-ref --format='%%(refname)'; git remote"), "refs/heads/main\nrefs/heads/topic");
    sh(f, "cd out; git fsck --strict; echo two >a; git rm -q c; git add a; git commit -q --no-edit");
    assert_string_equal(sh(f, "cd out; git log -1 --format='%%s %%P'"),
                        arena_printf(&f->s.arena, "Merge main %s %s", git(f, "rev-parse topic"), theirs.hex));
    sh(f, "rm -rf p.git; cd out; git fsck --strict --connectivity-only");
}

static void a_clean_merge_waits_in_the_same_way(void **state)
{
    struct fixture *f = *state;
    struct oid base = COMMIT(f, "main", NULL, "a", "a\n", "b", "b\n"), theirs = COMMIT(f, "main", &base, "b", "B\n");
    COMMIT(f, "topic", &base, "a", "A\n");
    open_conflict(f, &theirs);
    assert_string_equal(sh(f, "cd out; git status --porcelain; git rev-parse MERGE_HEAD"),
                        arena_printf(&f->s.arena, "M  b\n%s", theirs.hex));
}

static void a_directory_that_holds_something_is_refused(void **state)
{
    struct fixture *f = *state;
    struct oid base = make_conflict(f), theirs = theirs_of(f, &base);
    sh(f, "mkdir out; echo mine >out/a");
    check_err(repo_clone_conflict(f->r, scratch_path(&f->s, "out"), "topic", &theirs, "x\n", &f->e), ERR_EXISTS, &f->e, "not empty");
    assert_string_equal(sh(f, "cat out/a; ls -A out"), "mine\na");
}

/* ---- a branch of the person's ---- */

static void make_app(struct fixture *f)
{
    sh(f, "git init -q app; cd app; echo one >a; git add a; git commit -qm one; git branch other; echo two >a; git commit -qam two");
}

static void one_branch_is_seen_and_copied(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    struct oid tip;
    const char *where;
    check_ok(repo_look_at(f->r, &f->s.arena, scratch_path(&f->s, "app"), "other", &tip, &where, &f->e), &f->e);
    assert_string_equal(tip.hex, sh(f, "git -C app rev-parse other"));
    assert_string_equal(where, "");
    assert_string_equal(git(f, "for-each-ref --format='%%(refname) %%(objectname)'"),
                        arena_printf(&f->s.arena, "refs/tandem/source/other %s", tip.hex));
    assert_string_equal(git(f, "show %s:a", tip.hex), "one");
}

static void a_checked_out_branch_is_told(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    struct oid tip;
    const char *where;
    check_ok(repo_look_at(f->r, &f->s.arena, scratch_path(&f->s, "app"), "main", &tip, &where, &f->e), &f->e);
    assert_string_equal(where, sh(f, "cd app; pwd -P"));
    sh(f, "cd app; git worktree add -q ../elsewhere other");
    check_ok(repo_look_at(f->r, &f->s.arena, scratch_path(&f->s, "app"), "other", &tip, &where, &f->e), &f->e);
    assert_string_equal(where, sh(f, "cd elsewhere; pwd -P"));
}

static void a_branch_that_is_not_there_is_no_error(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    struct oid tip = { "x" };
    const char *where = NULL;
    check_ok(repo_look_at(f->r, &f->s.arena, scratch_path(&f->s, "app"), "nowhere", &tip, &where, &f->e), &f->e);
    assert_string_equal(tip.hex, "");
    check_err(repo_look_at(f->r, &f->s.arena, scratch_path(&f->s, "gone"), "main", &tip, &where, &f->e), ERR_NOT_FOUND, &f->e, "gone");
}

/* ---- what differs ---- */

static void changes_are_counted_for_each_file(void **state)
{
    struct fixture *f = *state;
    struct oid one = TREE(f, &none, "a", "1\n2\n3\n", "gone", "x\n", "d/same", "s\n");
    struct oid two = TREE(f, &one, "a", "1\nzwei\n3\n4\n", "gone", (const char *)NULL, "new file", "x\n");
    struct tree_change binary = { .path = "z", .bytes = "\0\1", .len = 2 };
    struct diff_stats s;
    check_ok(repo_write_tree(f->r, &two, &binary, 1, &two, &f->e), &f->e);
    check_ok(repo_diff_stats(f->r, &f->s.arena, &one, &two, &s, &f->e), &f->e);
    static const struct diff_stat wanted[] = { { "a", 2, 1 }, { "gone", 0, 1 }, { "new file", 1, 0 }, { "z", -1, -1 } };
    assert_int_equal(s.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(s.files[i].path, wanted[i].path);
        assert_int_equal(s.files[i].added, wanted[i].added);
        assert_int_equal(s.files[i].removed, wanted[i].removed);
    }
    check_ok(repo_diff_stats(f->r, &f->s.arena, &one, &one, &s, &f->e), &f->e);
    assert_int_equal(s.count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        with_repo(a_conflict_becomes_an_ordinary_merge_under_way),
        with_repo(a_clean_merge_waits_in_the_same_way),
        with_repo(a_directory_that_holds_something_is_refused),
        with_repo(one_branch_is_seen_and_copied),
        with_repo(a_checked_out_branch_is_told),
        with_repo(a_branch_that_is_not_there_is_no_error),
        with_repo(changes_are_counted_for_each_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
