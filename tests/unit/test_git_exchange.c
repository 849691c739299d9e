/* Taking over a person's repository, giving results back, and writing a clone: what is
 * theirs stays untouched, and nothing that it names is run. */
#include "git_fixture.h"

#include <unistd.h>

static const struct oid none = { "" };

struct imported {
    const char *branch;
    struct oid head;
    bool dirty;
};

static struct imported import(struct fixture *f, const char *name)
{
    struct imported i = { 0 };
    check_ok(repo_import(f->r, &f->s.arena, scratch_path(&f->s, "%s", name), "DEV", &i.branch, &i.head, &i.dirty, &f->e), &f->e);
    return i;
}

static void refuses(struct fixture *f, const char *name, int code, const char *words)
{
    struct imported i = { .branch = "untouched" };
    check_err(repo_import(f->r, &f->s.arena, scratch_path(&f->s, "%s", name), "DEV", &i.branch, &i.head, &i.dirty, &f->e), code, &f->e, words);
    assert_string_equal(i.branch, "untouched");
    assert_string_equal(git(f, "for-each-ref refs/heads"), "");
}

/* A repository "app" with two branches, one commit on each. */
static void make_app(struct fixture *f)
{
    sh(f, "git init -q app; cd app; echo one >a; mkdir d; echo two >d/b; git add -A; git commit -qm one;"
          "git branch feature/x; echo three >a; git commit -qam two");
}

/* Everything in a repository that belongs to the person, as one text. */
static const char *state_of(struct fixture *f, const char *name)
{
    return sh(f, "cd %s; git --no-optional-locks status --porcelain=v1 -b; git for-each-ref --format='%%(objectname) %%(refname)' | grep -v tandem/; cat .git/HEAD .git/config;"
                 "find . -path ./.git/objects -prune -o -path ./.git/refs -prune -o -type f -printf '%%p %%s %%T@ %%m\\n' | sort", name);
}

/* ---- import ---- */

static void branches_and_objects_come_over_and_nothing_changes_there(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    const char *before = state_of(f, "app"), *head = sh(f, "git -C app rev-parse HEAD");
    struct imported i = import(f, "app");
    assert_string_equal(i.branch, "main");
    assert_string_equal(i.head.hex, head);
    assert_false(i.dirty);
    assert_string_equal(git(f, "for-each-ref --format='%%(refname)'"), "refs/heads/main\nrefs/tandem/source/feature/x\nrefs/tandem/source/main");
    assert_string_equal(git(f, "symbolic-ref HEAD"), "refs/heads/main");
    assert_string_equal(sh(f, "cat p.git/objects/info/alternates 2>/dev/null || echo none"), "none");
    assert_string_equal(git(f, "show main:a"), "three");
    assert_string_equal(state_of(f, "app"), before);
    sh(f, "rm -rf app; git --git-dir=p.git fsck --strict");
    assert_string_equal(sh(f, "ls -d p.git/facade-* 2>/dev/null || :"), "");
}

static void a_bare_repository_is_taken_as_well(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "git clone -q --bare app app.git; git -C app.git symbolic-ref HEAD refs/heads/feature/x");
    struct imported i = import(f, "app.git");
    assert_string_equal(i.branch, "feature/x");
    assert_false(i.dirty);
}

static void uncommitted_changes_are_told_and_not_taken(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    static const char *const changes[] = { "echo changed >a", "echo new >untracked", "git rm -q --cached a", "rm d/b", "echo s >a; git add a", "chmod +x a" };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        sh(f, "cd app; git reset -q --hard; git clean -qfd; %s", changes[i]);
        assert_true(import(f, "app").dirty);
        assert_string_equal(git(f, "ls-tree -r --name-only main"), "a\nd/b");
        assert_string_equal(git(f, "show main:a"), "three");
    }
    sh(f, "cd app; git reset -q --hard; git clean -qfd; echo '*.o' >>.git/info/exclude; touch x.o");
    assert_false(import(f, "app").dirty);
}

static void a_repository_without_commits_is_an_empty_start(void **state)
{
    struct fixture *f = *state;
    sh(f, "git init -q -b trunk app");
    struct imported i = import(f, "app");
    assert_string_equal(i.branch, "trunk");
    assert_string_equal(i.head.hex, "");
    assert_false(i.dirty);
    sh(f, "touch app/file");
    assert_true(import(f, "app").dirty);
    assert_string_equal(git(f, "symbolic-ref HEAD"), "refs/heads/trunk");
}

static void an_unborn_branch_beside_others_has_no_head(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "cd app; git checkout -q --orphan fresh; git rm -rqf .");
    struct imported i = import(f, "app");
    assert_string_equal(i.branch, "fresh");
    assert_string_equal(i.head.hex, "");
    assert_string_equal(git(f, "for-each-ref --format='%%(refname:short)' refs/heads"), "");
}

static void a_detached_head_falls_back_on_the_main_branch(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "cd app; git checkout -q HEAD~1");
    struct imported i = import(f, "app");
    assert_string_equal(i.branch, "main");
    assert_string_equal(i.head.hex, sh(f, "git -C app rev-parse main"));
    assert_false(i.dirty);
    sh(f, "rm -rf p2.git; cd app; git branch -m main one; git branch two");
    fixture_reopen(f);
    struct imported j;
    check_err(repo_import(f->r, &f->s.arena, scratch_path(&f->s, "app"), "DEV", &j.branch, &j.head, &j.dirty, &f->e), ERR_INVALID, &f->e, "HEAD is detached");
}

static void a_linked_worktree_is_its_repository_with_its_own_head(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "cd app; git worktree add -q ../linked feature/x; echo changed >../linked/a");
    struct imported i = import(f, "linked");
    assert_string_equal(i.branch, "feature/x");
    assert_true(i.dirty);
    assert_false(import(f, "app").dirty);
}

static void borrowed_objects_are_copied_and_not_borrowed_again(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "git clone -q --shared app shared; cd shared; echo own >own; git add own; git commit -qm own; cd ..; git clone -q --bare --shared shared twice.git");
    struct imported i = import(f, "twice.git");
    struct oid c = COMMIT(f, "DEV", &i.head, "b", "two");
    check_ok(repo_export(f->r, scratch_path(&f->s, "twice.git"), "DEV", &none, &c, &f->e), &f->e);
    assert_string_equal(sh(f, "git --git-dir=twice.git fsck --strict; git --git-dir=twice.git show DEV:b DEV:own"), "twoown");
    sh(f, "rm -rf app shared twice.git; git --git-dir=p.git fsck --strict");
    assert_string_equal(git(f, "show DEV:a DEV:own DEV:b"), "three\nown\ntwo");
}

static void what_is_no_repository_is_said_exactly(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    refuses(f, "absent", ERR_NOT_FOUND, "there is no ");
    refuses(f, "app/a", ERR_INVALID, "is a file");
    refuses(f, "app/d", ERR_INVALID, "is a directory inside the repository");
    sh(f, "mkdir plain");
    refuses(f, "plain", ERR_INVALID, "is not a git repository");
    sh(f, "git clone -q --depth 1 file://$PWD/app shallow");
    refuses(f, "shallow", ERR_INVALID, "shallow clone");
    sh(f, "git -C app config uploadpack.allowFilter true; git clone -q --filter=blob:none file://$PWD/app partial");
    refuses(f, "partial", ERR_INVALID, "partial clone");
    sh(f, "cp -r app broken; echo garbage >broken/.git/HEAD");
    refuses(f, "broken", ERR_INVALID, "that git can read");
    sh(f, "cp -r app future; git -C future config core.repositoryformatversion 9");
    refuses(f, "future", ERR_INVALID, "that git can read");
    sh(f, "cp -r app holes; rm -f holes/.git/objects/$(git -C app rev-parse main:d/b | sed 's|^..|&/|')");
    refuses(f, "holes", ERR_FAILED, "cannot copy the objects");
}

static void what_cannot_be_worked_on_is_named(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "git clone -q app sub; cd app; git submodule --quiet add ../sub vendor/sub; git commit -qm sub");
    refuses(f, "app", ERR_INVALID, "\"vendor/sub\" is a submodule");
    sh(f, "cd app; git rm -qf vendor/sub .gitmodules; ln -s /etc/passwd secrets; git add -A; git commit -qm link");
    refuses(f, "app", ERR_INVALID, "the link \"secrets\" is refused: it leads out of the tree");
    sh(f, "cd app; git rm -qf secrets; ln -s d/b inside; printf 'version https://git-lfs.github.com/spec/v1\\n' >big.bin;"
          "printf '*.bin filter=lfs diff=lfs merge=lfs -text\\n' >.gitattributes; printf 'x' >'back\\\\slash'; git add -A; git commit -qm fine");
    import(f, "app");
    assert_string_equal(git(f, "show main:big.bin"), "version https://git-lfs.github.com/spec/v1");
}

static void sha256_is_taken_over_by_an_empty_project_only(void **state)
{
    struct fixture *f = *state;
    sh(f, "git init -q --object-format=sha256 app; cd app; echo one >a; git add a; git commit -qm one");
    struct imported i = import(f, "app");
    assert_int_equal(strlen(i.head.hex), 64);
    struct oid c = COMMIT(f, "DEV", &i.head, "b", "two");
    assert_int_equal(strlen(c.hex), 64);
    fixture_reopen(f);
    assert_string_equal(git(f, "fsck --strict; git --git-dir=p.git ls-tree -r --name-only DEV"), "a\nb");
    assert_false(import(f, "app").dirty);
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &none, &c, &f->e), &f->e);
    check_ok(repo_clone_out(f->r, scratch_path(&f->s, "out"), "DEV", &f->e), &f->e);
    assert_string_equal(sh(f, "git -C app rev-parse DEV; git -C out rev-parse HEAD"), sh(f, "printf '%%s\\n%%s' %s %s", c.hex, c.hex));
    sh(f, "git init -q other; cd other; echo x >x; git add x; git commit -qm x");
    struct imported j;
    check_err(repo_import(f->r, &f->s.arena, scratch_path(&f->s, "other"), "DEV", &j.branch, &j.head, &j.dirty, &f->e), ERR_INVALID, &f->e, "sha1 object ids");
    check_err(repo_export(f->r, scratch_path(&f->s, "other"), "DEV", &none, &c, &f->e), ERR_INVALID, &f->e, "another object format");
}

static void importing_again_goes_forward_and_takes_nothing_back(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    struct imported i = import(f, "app");
    sh(f, "cd app; echo four >a; git commit -qam three; git branch new; git checkout -q feature/x; echo other >o; git add o; git commit -qm other; git checkout -q main");
    struct imported j = import(f, "app");
    assert_string_not_equal(i.head.hex, j.head.hex);
    assert_string_equal(git(f, "rev-parse main"), j.head.hex);
    assert_string_equal(git(f, "rev-parse refs/tandem/source/feature/x"), sh(f, "git -C app rev-parse feature/x"));
    struct oid ours = COMMIT(f, "main", &j.head, "built", "here");
    sh(f, "cd app; git branch -D -q new; git branch new/below"); /* a name that was a branch is a directory now */
    import(f, "app");
    assert_string_equal(git(f, "rev-parse main"), ours.hex);
    assert_string_equal(git(f, "rev-parse refs/tandem/source/new/below"), j.head.hex);
}

/* Where results go is never what they start from, even when the person looks at them. */
static void the_branch_of_results_is_not_the_default_one(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "cd app; git checkout -q -b DEV");
    struct imported i = import(f, "app");
    assert_string_equal(i.branch, "main");
    assert_string_equal(git(f, "for-each-ref --format='%%(refname:short)' refs/heads"), "main");
    sh(f, "cd app; git branch -D -q feature/x; git branch -m main work");
    assert_string_equal(import(f, "app").branch, "work"); /* the only one besides */
    sh(f, "cd app; git branch -D -q work");
    struct imported j;
    check_err(repo_import(f->r, &f->s.arena, scratch_path(&f->s, "app"), "DEV", &j.branch, &j.head, &j.dirty, &f->e), ERR_INVALID, &f->e,
              "DEV is checked out");
}

static const char hostile[] =
    "git init -q app; cd app; echo 'evil text' >a; echo '* filter=evil diff=evil merge=evil ident' >.gitattributes; git add -A; git commit -qm one;"
    "c=\"touch $PWD/../canary; cat\"; git config core.fsmonitor \"$c\"; git config core.sshCommand \"$c\"; git config core.pager \"$c\";"
    "git config core.editor \"$c\"; git config core.gitProxy \"$c\"; git config core.alternateRefsCommand \"$c\"; git config core.askPass \"$c\";"
    "git config filter.evil.clean \"$c\"; git config filter.evil.smudge \"$c\"; git config filter.evil.required true; git config filter.evil.process \"$c\";"
    "git config diff.external \"$c\"; git config diff.evil.textconv \"$c\"; git config diff.evil.command \"$c\"; git config merge.evil.driver \"$c\";"
    "git config uploadpack.packObjectsHook \"$c\"; git config gpg.program \"$c\"; git config credential.helper \"!$c\";"
    "git config alias.fetch \"!$c\"; git config alias.status \"!$c\"; git config alias.update-ref \"!$c\"; git config alias.worktree \"!$c\";"
    "printf '[core]\\n\\thooksPath = %s\\n\\tfsmonitor = %s/hook\\n' $PWD/../hooks $PWD/../hooks >../included; git config include.path $PWD/../included;"
    "mkdir ../hooks; printf '#!/bin/sh\\ntouch %s\\n' $PWD/../canary >../hooks/hook; chmod +x ../hooks/hook;"
    "for h in post-index-change reference-transaction pre-auto-gc post-update update pre-receive post-receive post-checkout fsmonitor-watchman;"
    "do cp ../hooks/hook .git/hooks/$h; cp ../hooks/hook ../hooks/$h; done;"
    "git config protocol.ext.allow always; git config remote.origin.url \"ext::sh -c touch% $PWD/../canary\"; git config remote.origin.promisor true;"
    "git config remote.origin.uploadpack \"$c\"; git config remote.origin.receivepack \"$c\"; git config gc.auto 1; git config maintenance.auto true;"
    "git config core.worktree /; git config log.showSignature true; git config trace2.eventTarget $PWD/../canary;"
    "rm -f ../canary; echo changed >a";

static void a_hostile_repository_runs_nothing(void **state)
{
    struct fixture *f = *state;
    sh(f, "%s", hostile);
    struct imported i = import(f, "app");
    assert_true(i.dirty);
    struct oid c = COMMIT(f, "DEV", &i.head, "b", "two");
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &none, &c, &f->e), &f->e);
    check_ok(repo_clone_out(f->r, scratch_path(&f->s, "out"), "DEV", &f->e), &f->e);
    STR_LOCAL(diff);
    check_ok(repo_diff(f->r, &i.head, &c, 1000, &diff, &f->e), &f->e);
    assert_false(scratch_has(&f->s, "canary"));
    assert_string_equal(sh(f, "cat out/a"), "evil text");
    /* Each bites otherwise: a watcher, a hook, a filter, a diff.  (Not "status" for the filter:
     * git runs it only for a file written in the same tick as the index.) */
    static const char *const bites[] = { "status", "-c core.fsmonitor=false update-ref refs/heads/other HEAD",
                                         "-c core.fsmonitor=false add a", "-c core.fsmonitor=false diff" };
    for (size_t b = 0; b < sizeof bites / sizeof *bites; b++) {
        sh(f, "cd app; git config --unset core.worktree || :; rm -f ../canary; git %s >/dev/null 2>&1 || :", bites[b]);
        if (!scratch_has(&f->s, "canary"))
            fail_msg("git %s ran nothing", bites[b]);
    }
}

/* ---- export ---- */

static void results_arrive_on_the_branch_and_nothing_else_changes(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    sh(f, "cd app; echo dirty >a; echo staged >d/b; git add d/b; echo new >untracked");
    struct imported i = import(f, "app");
    struct oid one = COMMIT(f, "DEV", &i.head, "b", "two"), two = COMMIT(f, "DEV", &one, "b", "three");
    const char *before = state_of(f, "app");
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &none, &one, &f->e), &f->e);
    assert_string_equal(sh(f, "git -C app rev-parse DEV"), one.hex);
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &none, &one, &f->e), &f->e); /* again */
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &one, &two, &f->e), &f->e);
    assert_string_equal(sh(f, "git -C app log --format=%%H -1 DEV; git -C app fsck --strict --no-dangling 2>&1"), two.hex);
    sh(f, "git -C app update-ref -d refs/heads/DEV");
    assert_string_equal(state_of(f, "app"), before);
    assert_string_equal(sh(f, "find app/.git/objects app/.git/refs -name '*.lock' -o -name '*.keep' -o -name 'tmp_*'"), "");
    assert_string_equal(sh(f, "cat app/.git/objects/info/alternates app/.git/FETCH_HEAD 2>/dev/null || :"), "");
}

static void a_branch_that_went_on_there_is_left_alone(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    struct imported i = import(f, "app");
    struct oid ours = COMMIT(f, "feature/x", &i.head, "b", "two"), was = { "" };
    memcpy(was.hex, sh(f, "git -C app rev-parse feature/x"), 40);
    sh(f, "cd app; git checkout -q feature/x; echo theirs >c; git add c; git commit -qm theirs; git checkout -q main");
    const char *theirs = sh(f, "git -C app rev-parse feature/x");
    check_err(repo_export(f->r, scratch_path(&f->s, "app"), "feature/x", &was, &ours, &f->e), ERR_CONFLICT, &f->e, "was changed there meanwhile");
    check_err(repo_export(f->r, scratch_path(&f->s, "app"), "feature/x", &none, &ours, &f->e), ERR_CONFLICT, &f->e, "not at nothing");
    check_err(repo_export(f->r, scratch_path(&f->s, "app"), "new", &was, &ours, &f->e), ERR_CONFLICT, &f->e, "stands at nothing");
    assert_string_equal(sh(f, "git -C app rev-parse feature/x"), theirs);
}

static void a_branch_in_use_is_left_alone_and_named(void **state)
{
    struct fixture *f = *state;
    make_app(f);
    struct imported i = import(f, "app");
    struct oid ours = COMMIT(f, "main", &i.head, "b", "two"), x = { "" };
    memcpy(x.hex, sh(f, "git -C app rev-parse feature/x"), 40);
    const char *app = scratch_path(&f->s, "app");
    check_err(repo_export(f->r, app, "main", &i.head, &ours, &f->e), ERR_BUSY, &f->e, "the branch main is checked out in");
    assert_non_null(strstr(f->e.text, "/app and was left alone"));
    sh(f, "cd app; git worktree add -q ../linked feature/x");
    check_err(repo_export(f->r, app, "feature/x", &x, &ours, &f->e), ERR_BUSY, &f->e, "/linked");
    check_err(repo_export(f->r, scratch_path(&f->s, "linked"), "main", &i.head, &ours, &f->e), ERR_BUSY, &f->e, "/app");
    sh(f, "cd app; git worktree remove ../linked; git checkout -q feature/x; echo c >a; git commit -qam c;"
          "GIT_SEQUENCE_EDITOR=: git rebase -q main 2>/dev/null || :; git symbolic-ref -q HEAD && exit 1 || :");
    memcpy(x.hex, sh(f, "git -C app rev-parse feature/x"), 40);
    check_err(repo_export(f->r, app, "feature/x", &x, &ours, &f->e), ERR_BUSY, &f->e, "a rebase or bisect");
    sh(f, "cd app; git rebase --abort; git checkout -q main; git bisect start -q HEAD HEAD~1 2>/dev/null || :; git checkout -q --detach");
    check_err(repo_export(f->r, app, "main", &i.head, &ours, &f->e), ERR_BUSY, &f->e, "a rebase or bisect");
    sh(f, "cd app; git bisect reset 2>/dev/null; git checkout -q --detach");
    check_ok(repo_export(f->r, app, "main", &i.head, &ours, &f->e), &f->e);
}

static void an_empty_or_bare_target_receives_everything(void **state)
{
    struct fixture *f = *state;
    struct oid c = COMMIT(f, "DEV", NULL, "a", "1");
    sh(f, "git init -q app; git init -q --bare app.git");
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &none, &c, &f->e), &f->e);
    check_err(repo_export(f->r, scratch_path(&f->s, "app"), "main", &none, &c, &f->e), ERR_BUSY, &f->e, "main"); /* unborn, but checked out */
    check_ok(repo_export(f->r, scratch_path(&f->s, "app.git"), "main", &none, &c, &f->e), &f->e);
    assert_string_equal(sh(f, "git -C app show DEV:a; git -C app.git show main:a; git -C app.git fsck"), "11");
    check_err(repo_export(f->r, scratch_path(&f->s, "absent"), "DEV", &none, &c, &f->e), ERR_NOT_FOUND, &f->e, "absent");
    check_err(repo_export(f->r, scratch_path(&f->s, "app"), "--all", &none, &c, &f->e), ERR_INVALID, &f->e, "--all");
}

static void what_root_writes_into_a_persons_repository_is_theirs(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    make_app(f);
    sh(f, "chown -R 12345:12345 app");
    struct imported i = import(f, "app");
    struct oid c = COMMIT(f, "DEV", &i.head, "b", "two");
    check_ok(repo_export(f->r, scratch_path(&f->s, "app"), "work/DEV", &none, &c, &f->e), &f->e);
    assert_string_equal(sh(f, "find app ! -uid 12345; find app ! -gid 12345"), "");
    assert_true(scratch_has(&f->s, "app/.git/refs/heads/work/DEV"));
}

/* ---- clone ---- */

static void a_clone_has_the_branch_checked_out_and_no_remote(void **state)
{
    struct fixture *f = *state;
    struct oid base = COMMIT(f, "main", NULL, "a", "1\r\n", "d/b", "2");
    struct oid dev = COMMIT(f, "DEV", &base, "c", "3");
    COMMIT(f, "ticket/t-1", &dev, "e", "4");
    check_ok(repo_ref_move(f->r, "refs/tandem/wip/t-1", NULL, &dev, &f->e), &f->e);
    check_ok(repo_clone_out(f->r, scratch_path(&f->s, "deep/er/out"), "DEV", &f->e), &f->e);
    assert_string_equal(sh(f, "cd deep/er/out; git status --porcelain -b; git remote; git for-each-ref --format='%%(refname)'; git fsck --strict;"
                              "ls -A; cat .git/objects/info/alternates 2>/dev/null || :"),
                        "## DEV\nrefs/heads/DEV\nrefs/heads/main\nrefs/heads/ticket/t-1\n.git\na\nc\nd");
    assert_string_equal(sh(f, "find deep/er/out/.git/objects -type f -links +1"), "");
    sh(f, "rm -rf p.git.away; mv p.git p.git.away; cd deep/er/out; git log --all >/dev/null; git checkout -q main; echo x >x; git add x; git commit -qm x; mv ../../../p.git.away ../../../p.git");
    assert_string_equal(scratch_read(&f->s, "deep/er/out/a"), "1\r\n");
}

static void a_clone_writes_only_into_an_empty_directory(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, "DEV", NULL, "a", "1");
    sh(f, "mkdir full empty; echo mine >full/file; echo x >file; ln -s empty link");
    check_err(repo_clone_out(f->r, scratch_path(&f->s, "full"), "DEV", &f->e), ERR_EXISTS, &f->e, "is not empty");
    assert_string_equal(sh(f, "ls -A full"), "file");
    check_err(repo_clone_out(f->r, scratch_path(&f->s, "file"), "DEV", &f->e), ERR_EXISTS, &f->e, "not a directory");
    check_err(repo_clone_out(f->r, scratch_path(&f->s, "empty"), "absent", &f->e), ERR_NOT_FOUND, &f->e, "absent");
    assert_string_equal(sh(f, "ls -A empty"), "");
    check_ok(repo_clone_out(f->r, scratch_path(&f->s, "link"), "DEV", &f->e), &f->e);
    check_err(repo_clone_out(f->r, scratch_path(&f->s, "empty"), "DEV", &f->e), ERR_EXISTS, &f->e, "is not empty");
    assert_string_equal(sh(f, "ls -A empty"), ".git\na");
}

/* ---- crashes ---- */

static int act(struct fixture *f, const char *action)
{
    struct imported i;
    struct oid c;
    if (streq(action, "import"))
        return repo_import(f->r, &f->s.arena, scratch_path(&f->s, "app"), "DEV", &i.branch, &i.head, &i.dirty, &f->e);
    if (streq(action, "clone"))
        return repo_clone_out(f->r, scratch_path(&f->s, "out"), "DEV", &f->e);
    check_ok(repo_ref(f->r, "refs/heads/DEV", &c, &f->e), &f->e);
    return repo_export(f->r, scratch_path(&f->s, "app"), "DEV", &none, &c, &f->e);
}

static void a_kill_midway_is_mended_by_doing_it_again(void **state)
{
    struct fixture *f = *state;
#ifndef TANDEM_FAILPOINTS
    (void)f;
    skip();
#else
    static const char *const cases[][2] = {
        { "repo.import_fetched", "import" }, { "repo.ref_moved", "import" }, { "repo.export", "export" }, { "repo.export_copied", "export" }, { "repo.export_moving", "export" },
        { "repo.export_moved", "export" }, { "repo.clone", "clone" }, { "repo.clone_fetched", "clone" },
    };
    make_app(f);
    COMMIT(f, "DEV", NULL, "b", "two");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sh(f, "rm -rf out; git -C app update-ref -d refs/heads/DEV; git --git-dir=p.git update-ref -d refs/heads/main");
        fixture_killed_at(f, cases[i][0], cases[i][1]);
        fixture_reopen(f);
        check_ok(repo_unlock(f->r, &f->e), &f->e);
        assert_string_equal(sh(f, "ls -d p.git/facade-* tandem-* 2>/dev/null || :"), "");
        check_ok(act(f, cases[i][1]), &f->e);
    }
    assert_string_equal(sh(f, "git -C out status --porcelain -b; git -C app fsck --strict --no-dangling"), "## DEV");
#endif
}

static void a_lock_goes_when_our_git_left_it_and_is_named_otherwise(void **state)
{
    struct fixture *f = *state;
#ifndef TANDEM_FAILPOINTS
    (void)f;
    skip();
#else
    static const struct { const char *lock, *note; bool goes; } cases[] = {
        { "git --git-dir=p.git rev-parse DEV >$L; touch -d '9 seconds ago' $L", "touch -d '10 seconds ago' $N", true },
        { ": >$L; touch -d '9 seconds ago' $L", "touch -d '10 seconds ago' $N", true },
        { "git -C app rev-parse main >$L; touch -d '9 seconds ago' $L", "touch -d '10 seconds ago' $N", false }, /* of another move */
        { ": >$L", "touch -d '10 seconds ago' $N", false },                             /* perhaps being written */
        { ": >$L; touch -d '9 seconds ago' $L", "touch -d '5 seconds ago' $N", false }, /* was there before */
        { ": >$L; touch -d '9 seconds ago' $L", "touch -d '9 minutes ago' $N", false }, /* came much later */
        { ": >$L; touch -d '9 seconds ago' $L", "rm $N", false },                       /* nobody was at it */
        { "git --git-dir=p.git rev-parse DEV >x; ln -s ../../../../x $L; touch -hd '9 seconds ago' $L x", "touch -d '10 seconds ago' $N", false },
    };
    make_app(f);
    COMMIT(f, "DEV", NULL, "b", "two");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sh(f, "rm -f app/.git/refs/heads/DEV*");
        fixture_killed_at(f, "repo.export_moving", "export");
        fixture_reopen(f);
        check_ok(repo_unlock(f->r, &f->e), &f->e);
        sh(f, "L=app/.git/refs/heads/DEV.lock N=p.git/tandem-moving; %s; %s", cases[i].lock, cases[i].note);
        int r = act(f, "export");
        if (cases[i].goes)
            check_ok(r, &f->e);
        else
            check_err(r, ERR_BUSY, &f->e, "DEV.lock is in the way: another git is at work there, or was killed and left it");
        assert_string_equal(sh(f, "ls app/.git/refs/heads | grep DEV"), cases[i].goes ? "DEV" : "DEV.lock");
        assert_string_equal(sh(f, "ls p.git/tandem-moving 2>/dev/null || :"), "");
    }
#endif
}

static void the_persons_identity_is_read_from_their_configuration(void **state)
{
    struct fixture *f = *state;
    sh(f, "printf '[user]\\n\\tname = Grace Hopper\\n[include]\\n\\tpath = more\\n' >.gitconfig; printf '[user]\\n\\temail = g@example.org\\n' >more");
    setenv("HOME", f->s.path, 1);
    unsetenv("XDG_CONFIG_HOME");
    struct git_person p = git_person("");
    assert_string_equal(p.name, "Grace Hopper");
    assert_string_equal(p.email, "g@example.org");
    sh(f, "rm .gitconfig; git init -q theirs; git -C theirs config user.email grace@work.example");
    p = git_person(scratch_path(&f->s, "theirs")); /* the other is read once */
    assert_string_equal(p.name, "Grace Hopper");
    assert_string_equal(p.email, "grace@work.example");
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        struct fixture f;
        fixture_resume(&f, argv[2]);
        return act(&f, argv[1]);
    }
    const struct CMUnitTest tests[] = {
        with_repo(branches_and_objects_come_over_and_nothing_changes_there),
        with_repo(a_bare_repository_is_taken_as_well),
        with_repo(uncommitted_changes_are_told_and_not_taken),
        with_repo(a_repository_without_commits_is_an_empty_start),
        with_repo(an_unborn_branch_beside_others_has_no_head),
        with_repo(a_detached_head_falls_back_on_the_main_branch),
        with_repo(a_linked_worktree_is_its_repository_with_its_own_head),
        with_repo(borrowed_objects_are_copied_and_not_borrowed_again),
        with_repo(what_is_no_repository_is_said_exactly),
        with_repo(what_cannot_be_worked_on_is_named),
        with_repo(sha256_is_taken_over_by_an_empty_project_only),
        with_repo(importing_again_goes_forward_and_takes_nothing_back),
        with_repo(the_branch_of_results_is_not_the_default_one),
        with_repo(a_hostile_repository_runs_nothing),
        with_repo(results_arrive_on_the_branch_and_nothing_else_changes),
        with_repo(a_branch_that_went_on_there_is_left_alone),
        with_repo(a_branch_in_use_is_left_alone_and_named),
        with_repo(an_empty_or_bare_target_receives_everything),
        with_repo(what_root_writes_into_a_persons_repository_is_theirs),
        with_repo(a_clone_has_the_branch_checked_out_and_no_remote),
        with_repo(a_clone_writes_only_into_an_empty_directory),
        with_repo(a_lock_goes_when_our_git_left_it_and_is_named_otherwise),
        with_repo(a_kill_midway_is_mended_by_doing_it_again),
        with_repo(the_persons_identity_is_read_from_their_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
