/* Refs, merges, and many threads on one repository. */
#include "git_fixture.h"

#include <pthread.h>

static const struct oid none = { "" };

/* ---- refs ---- */

static void a_ref_moves_only_from_where_it_is_expected(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), at;
    struct oid one = commit_of(f, &t, NULL, "one"), two = commit_of(f, &t, &one, "two"), three = commit_of(f, &t, &two, "three");
    const char *ref = "refs/heads/ticket/t-1";
    check_err(repo_ref(f->r, ref, &at, &f->e), ERR_NOT_FOUND, &f->e, "no refs/heads/ticket/t-1");
    check_err(repo_ref_move(f->r, ref, &one, &two, &f->e), ERR_CONFLICT, &f->e, "stands at nothing");
    check_ok(repo_ref_move(f->r, ref, &none, &one, &f->e), &f->e);
    check_err(repo_ref_move(f->r, ref, &none, &two, &f->e), ERR_CONFLICT, &f->e, one.hex);
    check_ok(repo_ref_move(f->r, ref, &one, &two, &f->e), &f->e);
    check_err(repo_ref_move(f->r, ref, &one, &three, &f->e), ERR_CONFLICT, &f->e, two.hex);
    check_ok(repo_ref_move(f->r, ref, NULL, &three, &f->e), &f->e);
    check_ok(repo_ref(f->r, ref, &at, &f->e), &f->e);
    assert_string_equal(at.hex, three.hex);
    assert_string_equal(git(f, "rev-parse ticket/t-1"), three.hex);
}

static void a_move_that_was_made_before_is_a_success(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), one = commit_of(f, &t, NULL, "one"), two = commit_of(f, &t, &one, "two");
    check_ok(repo_ref_move(f->r, "refs/heads/a", &none, &one, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/a", &none, &one, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/a", &one, &two, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/a", &one, &two, &f->e), &f->e);
}

static void refs_are_deleted_once_and_again(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), one = commit_of(f, &t, NULL, "one"), two = commit_of(f, &t, &one, "two"), at;
    check_ok(repo_ref_move(f->r, "refs/heads/a/b/c", &none, &one, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/packed", &none, &one, &f->e), &f->e);
    git(f, "pack-refs --all");
    check_err(repo_ref_move(f->r, "refs/heads/packed", &two, &none, &f->e), ERR_CONFLICT, &f->e, one.hex);
    check_ok(repo_ref_move(f->r, "refs/heads/packed", &one, &none, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/packed", &one, &none, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/a/b/c", NULL, &none, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/a/b/c", NULL, &none, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/a/b/c", &none, &none, &f->e), &f->e);
    check_err(repo_ref(f->r, "refs/heads/packed", &at, &f->e), ERR_NOT_FOUND, &f->e, "packed");
    assert_string_equal(git(f, "for-each-ref"), "");
    check_ok(repo_ref_move(f->r, "refs/heads/a", &none, &one, &f->e), &f->e); /* its place is free again */
}

static void a_ref_that_cannot_be_is_explained(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), one = commit_of(f, &t, NULL, "one"), at;
    check_ok(repo_ref_move(f->r, "refs/heads/a", &none, &one, &f->e), &f->e);
    check_err(repo_ref_move(f->r, "refs/heads/a/b", &none, &one, &f->e), ERR_FAILED, &f->e, "'refs/heads/a' exists");
    check_err(repo_ref_move(f->r, "refs/heads/tree", &none, &t, &f->e), ERR_FAILED, &f->e, "non-commit");
    static const char *const bad[] = { "main", "--stdin", "refs/heads/a b", "refs/heads/a\nupdate x", "refs/heads/..", "refs/heads/x.lock",
                                       "refs/heads/", "refs/heads/a@{1}", "refs/heads/a^", "refs/heads/.x", "HEAD", "refs/../x", "" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_err(repo_ref_move(f->r, bad[i], &none, &one, &f->e), ERR_INVALID, &f->e, "cannot be the name of a ref");
        check_err(repo_ref(f->r, bad[i], &at, &f->e), ERR_INVALID, &f->e, "cannot be the name of a ref");
    }
    check_err(repo_ref_move(f->r, "refs/heads/x", &none, &(struct oid){ "HEAD" }, &f->e), ERR_INVALID, &f->e, "not an object id");
    sh(f, "echo 1234567890123456789012345678901234567890 >p.git/refs/heads/broken");
    check_err(repo_ref(f->r, "refs/heads/broken", &at, &f->e), ERR_CORRUPT, &f->e, "not there");
    sh(f, "touch p.git/refs/heads/a.lock");
    check_err(repo_ref_move(f->r, "refs/heads/a", &one, &none, &f->e), ERR_FAILED, &f->e, "a.lock");
}

static void refs_below_a_prefix_are_listed_sorted(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), one = commit_of(f, &t, NULL, "one");
    static const char *const names[] = { "refs/heads/b", "refs/heads/a/z", "refs/heads/a/b", "refs/tandem/wip/t-1", "refs/heads/ab" };
    for (size_t i = 0; i < 5; i++)
        check_ok(repo_ref_move(f->r, names[i], &none, &one, &f->e), &f->e);
    ARENA_LOCAL(a);
    struct repo_refs refs;
    check_ok(repo_refs(f->r, &a, "refs/heads/", &refs, &f->e), &f->e);
    assert_int_equal(refs.count, 4);
    assert_string_equal(refs.names[0], "refs/heads/a/b");
    assert_string_equal(refs.names[2], "refs/heads/ab");
    assert_string_equal(refs.oids[3].hex, one.hex);
    check_ok(repo_refs(f->r, &a, "refs/heads/a", &refs, &f->e), &f->e);
    assert_int_equal(refs.count, 2);
    check_ok(repo_refs(f->r, &a, "refs/none/", &refs, &f->e), &f->e);
    assert_int_equal(refs.count, 0);
    check_err(repo_refs(f->r, &a, "--format=x", &refs, &f->e), ERR_INVALID, &f->e, "prefix");
}

static void locks_that_a_killed_git_left_are_removed(void **state)
{
    struct fixture *f = *state;
    struct oid tip = COMMIT(f, "work", NULL, "a.txt", "a\n");
    struct oid next = COMMIT(f, "other", &tip, "a.txt", "b\n");
    sh(f, "touch p.git/refs/heads/work.lock p.git/HEAD.lock p.git/packed-refs.lock");
    fixture_reopen(f);
    assert_true(repo_ref_move(f->r, "refs/heads/work", &tip, &next, &f->e) < 0);
    fixture_reopen(f);
    check_ok(repo_unlock(f->r, &f->e), &f->e);
    check_ok(repo_ref_move(f->r, "refs/heads/work", &tip, &next, &f->e), &f->e);
    assert_string_equal(sh(f, "find p.git -name '*.lock'"), "");
}

static void hooks_of_the_repository_do_not_run(void **state)
{
    struct fixture *f = *state;
    sh(f, "mkdir p.git/hooks; printf '#!/bin/sh\\ntouch %%s/canary\\n' \"$PWD\" >p.git/hooks/reference-transaction; chmod +x p.git/hooks/*;"
          "cp p.git/hooks/reference-transaction p.git/hooks/pre-auto-gc");
    struct oid t = TREE(f, NULL, "x", "x"), one = commit_of(f, &t, NULL, "one");
    check_ok(repo_ref_move(f->r, "refs/heads/a", &none, &one, &f->e), &f->e);
    check_ok(repo_maintain(f->r, &f->e), &f->e);
    assert_false(scratch_has(&f->s, "canary"));
    git(f, "update-ref refs/heads/b %s", one.hex); /* the hook is a real one */
    assert_true(scratch_has(&f->s, "canary"));
}

/* ---- merges ---- */

static const char *file_of(struct fixture *f, const struct oid *tree, const char *path)
{
    const char *bytes;
    size_t len;
    check_ok(repo_file(f->r, &f->s.arena, tree, path, &bytes, &len, &f->e), &f->e);
    return bytes;
}

static struct merge_result merge(struct fixture *f, const struct oid *ours, const struct oid *theirs)
{
    struct merge_result m;
    check_ok(repo_merge(f->r, &f->s.arena, ours, theirs, &m, &f->e), &f->e);
    return m;
}

static void changes_in_different_places_merge_cleanly(void **state)
{
    struct fixture *f = *state;
    struct oid base = COMMIT(f, "base", NULL, "a", "1\n2\n3\n4\n5\n", "dir/moved", "m\nm\nm\nm\n", "gone", "g");
    struct oid ours = COMMIT(f, "ours", &base, "a", "one\n2\n3\n4\n5\n", "dir/moved", NULL, "elsewhere/moved", "m\nm\nm\nm\n");
    struct oid theirs = COMMIT(f, "theirs", &base, "a", "1\n2\n3\n4\nfive\n", "dir/moved", "m\nm\nm\nM\n", "gone", NULL, "new", "n");
    struct merge_result m = merge(f, &ours, &theirs);
    assert_int_equal(m.conflicts.count, 0);
    assert_string_equal(file_of(f, &m.tree, "a"), "one\n2\n3\n4\nfive\n");
    assert_string_equal(file_of(f, &m.tree, "elsewhere/moved"), "m\nm\nm\nM\n");
    assert_string_equal(git(f, "ls-tree -r --name-only %s", m.tree.hex), "a\nelsewhere/moved\nnew");
    struct oid again = merge(f, &ours, &theirs).tree;
    assert_string_equal(again.hex, m.tree.hex);
}

static void one_side_ahead_gives_that_sides_tree(void **state)
{
    struct fixture *f = *state;
    struct oid base = COMMIT(f, "base", NULL, "a", "1"), ahead = COMMIT(f, "ahead", &base, "a", "2");
    struct commit_info info;
    check_ok(repo_commit_info(f->r, &f->s.arena, &ahead, &info, &f->e), &f->e);
    assert_string_equal(merge(f, &base, &ahead).tree.hex, info.tree.hex);
    assert_string_equal(merge(f, &ahead, &base).tree.hex, info.tree.hex);
    assert_string_equal(merge(f, &ahead, &ahead).tree.hex, info.tree.hex);
}

static void conflicts_are_named_and_marked_without_ids(void **state)
{
    struct fixture *f = *state;
    struct oid base = COMMIT(f, "base", NULL, "a", "1\n", "deleted", "d\n", "kept", "k\n");
    struct oid ours = COMMIT(f, "ours", &base, "a", "ours\n", "deleted", NULL, "both", "x\n");
    struct oid theirs = COMMIT(f, "theirs", &base, "a", "theirs\n", "deleted", "changed\n", "both", "y\n");
    struct merge_result m = merge(f, &ours, &theirs);
    assert_int_equal(m.conflicts.count, 3);
    assert_string_equal(m.conflicts.items[0], "a");
    assert_string_equal(m.conflicts.items[1], "both");
    assert_string_equal(m.conflicts.items[2], "deleted");
    assert_string_equal(file_of(f, &m.tree, "a"), "<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\n");
    assert_string_equal(file_of(f, &m.tree, "both"), "<<<<<<< ours\nx\n=======\ny\n>>>>>>> theirs\n");
    assert_string_equal(file_of(f, &m.tree, "deleted"), "changed\n");
    assert_string_equal(git(f, "fsck --strict --no-dangling 2>/dev/null"), "");
}

static void renamed_displaced_and_binary_conflicts_carry_no_ids_either(void **state)
{
    struct fixture *f = *state;
    struct oid base = COMMIT(f, "base", NULL, "old", "1\n2\n3\n4\n5\n6\n", "bin", "x", "place", "p\n");
    struct oid ours = COMMIT(f, "ours", &base, "old", NULL, "new", "1\n2\n3\n4\n5\nours\n", "place", NULL, "place/inside", "i\n");
    struct oid theirs = COMMIT(f, "theirs", &base, "old", "1\n2\n3\n4\n5\ntheirs\n", "place", "changed\n");
    struct tree_change binary[2] = { { .path = "bin", .bytes = "o\0", .len = 2 }, { .path = "bin", .bytes = "t\0", .len = 2 } };
    struct oid t;
    check_ok(repo_write_tree(f->r, &ours, &binary[0], 1, &t, &f->e), &f->e);
    ours = commit_of(f, &t, &base, "ours");
    check_ok(repo_write_tree(f->r, &theirs, &binary[1], 1, &t, &f->e), &f->e);
    theirs = commit_of(f, &t, &base, "theirs");
    struct merge_result m = merge(f, &ours, &theirs);
    assert_int_equal(m.conflicts.count, 3);
    assert_string_equal(m.conflicts.items[0], "bin");
    assert_string_equal(m.conflicts.items[1], "new");
    assert_string_equal(m.conflicts.items[2], "place~theirs");
    assert_string_equal(file_of(f, &m.tree, "new"), "1\n2\n3\n4\n5\n<<<<<<< ours:new\nours\n=======\ntheirs\n>>>>>>> theirs:old\n");
    assert_string_equal(file_of(f, &m.tree, "place~theirs"), "changed\n");
    assert_string_equal(git(f, "ls-tree -r --name-only %s", m.tree.hex), "bin\nnew\nplace/inside\nplace~theirs");
}

static void unrelated_histories_and_things_that_are_no_commits_are_refused(void **state)
{
    struct fixture *f = *state;
    struct oid one = COMMIT(f, "one", NULL, "a", "1"), other = COMMIT(f, "other", NULL, "b", "2"), t = TREE(f, NULL, "x", "x");
    struct merge_result m;
    check_err(repo_merge(f->r, &f->s.arena, &one, &other, &m, &f->e), ERR_INVALID, &f->e, "no commit in common");
    check_err(repo_merge(f->r, &f->s.arena, &one, &t, &m, &f->e), ERR_INVALID, &f->e, "is a tree, not a commit");
    check_err(repo_merge(f->r, &f->s.arena, &one, &(struct oid){ "--help" }, &m, &f->e), ERR_INVALID, &f->e, "not an object id");
}

static void merge_drivers_of_a_configuration_do_not_run(void **state)
{
    struct fixture *f = *state;
    git(f, "config merge.evil.driver 'touch %s/canary; false'", f->s.path);
    struct oid base = COMMIT(f, "base", NULL, "a", "1\n", ".gitattributes", "* merge=evil\n");
    struct oid ours = COMMIT(f, "main", &base, "a", "ours\n"), theirs = COMMIT(f, "theirs", &base, "a", "theirs\n");
    assert_int_equal(merge(f, &ours, &theirs).conflicts.count, 1);
    assert_false(scratch_has(&f->s, "canary"));
}

/* ---- threads, crashes ---- */

enum { THREADS = 8, ROUNDS = 12 };
struct worker {
    pthread_t thread;
    struct repo *r;
    int number;
    struct err e;
    int code;
};

static int work_once(struct worker *w, int round, struct arena *a, struct oid *tip)
{
    char text[64], ref[64];
    snprintf(text, sizeof text, "thread %d round %d\n", w->number, round);
    snprintf(ref, sizeof ref, "refs/heads/t/%d", w->number);
    struct tree_change change[] = { { .path = "shared/dir/file", .bytes = text, .len = strlen(text) }, { .path = "same", .bytes = "same", .len = 4 } };
    struct commit_intent c = { .message = "m", .parents = { *tip }, .time_s = 1 };
    const char *bytes;
    size_t len;
    struct oid next, at;
    int code = repo_write_tree(w->r, tip, change, 2, &c.tree, &w->e);
    if (code == 0)
        code = repo_commit(w->r, &c, &next, &w->e);
    if (code == 0)
        code = repo_ref_move(w->r, ref, tip, &next, &w->e);
    if (code == 0)
        code = repo_ref(w->r, ref, &at, &w->e);
    if (code == 0)
        code = repo_file(w->r, a, &at, "shared/dir/file", &bytes, &len, &w->e);
    if (code == 0 && !streq(bytes, text))
        code = err_set(&w->e, ERR_CORRUPT, "read \"%s\"", bytes);
    STR_LOCAL(diff);
    struct tree tree;
    struct merge_result m;
    if (code == 0)
        code = repo_tree(w->r, a, &at, &tree, &w->e);
    if (code == 0)
        code = repo_diff(w->r, tip, &at, 1000, &diff, &w->e);
    if (code == 0 && round % 4 == 1)
        code = repo_merge(w->r, a, tip, &at, &m, &w->e);
    if (code == 0)
        *tip = next;
    return code;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    ARENA_LOCAL(a);
    struct oid tip = { "" };
    for (int i = 0; i < ROUNDS && w->code == 0; i++)
        w->code = work_once(w, i, &a, &tip);
    return NULL;
}

static void eight_threads_share_one_repository(void **state)
{
    struct fixture *f = *state;
    struct worker w[THREADS] = { 0 };
    for (int i = 0; i < THREADS; i++) {
        w[i].r = f->r;
        w[i].number = i;
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(w[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        if (w[i].code < 0)
            fail_msg("thread %d: %s", i, w[i].e.text);
    assert_string_equal(git(f, "fsck --strict --no-dangling 2>/dev/null"), "");
    assert_string_equal(git(f, "rev-list --all --count"), "96");
}

/* One durable commit. */
static struct oid step(struct fixture *f)
{
    return COMMIT(f, "DEV", NULL, "d/a", "a", "b", "b");
}

static void a_kill_at_any_point_is_mended_by_doing_it_again(void **state)
{
    struct fixture *f = *state;
#ifndef TANDEM_FAILPOINTS
    (void)f;
    skip();
#else
    static const char *const points[] = { "repo.objects", "repo.objects_staged", "repo.objects_written", "repo.objects_staged:2",
                                          "repo.objects_written:2", "repo.ref", "repo.ref_moved" };
    struct oid want = { "" };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        sh(f, "rm -rf p.git/objects/?? p.git/refs/heads/DEV");
        fixture_killed_at(f, points[i], "step");
        fixture_reopen(f);
        struct oid got = step(f);
        if (want.hex[0])
            assert_string_equal(got.hex, want.hex);
        want = got;
        assert_string_equal(git(f, "fsck --strict 2>/dev/null | grep -v dangling || :"), "");
        assert_string_equal(git(f, "log --format=%%H DEV"), want.hex);
    }
#endif
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        struct fixture f;
        fixture_resume(&f, argv[2]);
        step(&f);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        with_repo(a_ref_moves_only_from_where_it_is_expected),
        with_repo(a_move_that_was_made_before_is_a_success),
        with_repo(refs_are_deleted_once_and_again),
        with_repo(a_ref_that_cannot_be_is_explained),
        with_repo(refs_below_a_prefix_are_listed_sorted),
        with_repo(locks_that_a_killed_git_left_are_removed),
        with_repo(hooks_of_the_repository_do_not_run),
        with_repo(changes_in_different_places_merge_cleanly),
        with_repo(one_side_ahead_gives_that_sides_tree),
        with_repo(conflicts_are_named_and_marked_without_ids),
        with_repo(renamed_displaced_and_binary_conflicts_carry_no_ids_either),
        with_repo(unrelated_histories_and_things_that_are_no_commits_are_refused),
        with_repo(merge_drivers_of_a_configuration_do_not_run),
        with_repo(a_kill_at_any_point_is_mended_by_doing_it_again),
        with_repo(eight_threads_share_one_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
