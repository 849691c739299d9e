/* Trees, blobs, commits, checkout, diff: each result is held against real git. */
#include "check.h"
#include "git_fixture.h"
#include "synced.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

static void disguises_of_dotgit_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        ".git", ".GIT/config", "a/.Git/hooks/x", ".git ", ".git.", ".git . .", "git~1", "GIT~1/x", "a/git~1 .",
        ".git:stream", ".git\xe2\x80\x8c", ".g\xe2\x80\x8dit", "\xef\xbb\xbf.git/config", ".gi\xe2\x81\xaft",
        "\xe2\x80\xae.git", ".git::$INDEX_ALLOCATION/config",
    };
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_err(path_check(bad[i], &e), ERR_REFUSED, &e, "\".git\", however it is spelled");
}

static void paths_that_are_not_plain_are_refused_with_the_reason(void **state)
{
    (void)state;
    char long_name[400], long_path[5000], deep[2 * 300];
    memset(long_name, 'x', sizeof long_name);
    long_name[256] = '\0';
    memset(long_path, 'x', sizeof long_path);
    for (size_t i = 100; i < sizeof long_path; i += 100)
        long_path[i] = '/';
    long_path[4097] = '\0';
    for (size_t i = 0; i < sizeof deep; i += 2)
        memcpy(deep + i, "d/", 2);
    memcpy(deep + sizeof deep - 2, "f", 2);
    const struct { const char *path, *why; } bad[] = {
        { "", "it is empty" }, { "/etc/passwd", "absolute" }, { "../x", "\"..\"" }, { "a/../b", "\"..\"" },
        { "./a", "\".\"" }, { "a//b", "empty component" }, { "a/", "empty component" }, { "a\nb", "control" },
        { "a\x7f", "control" }, { "\x01", "control" }, { "src\\a.c", "backslash" }, { "caf\xe9.txt", "not UTF-8" },
        { long_name, "longer than 255" }, { long_path, "longer than 4096" }, { deep, "too deep" },
    };
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_err(path_check(bad[i].path, &e), ERR_REFUSED, &e, bad[i].why);
}

static void ordinary_paths_are_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a", "src/main.c", ".gitignore", ".gitattributes", ".github/workflows/ci.yml", "git", "git~2", "x.git/y",
        "a b/c d", "caf\xc3\xa9/\xe6\x97\xa5.txt", "...", "..a", "a..", "-rf", "--help", "a:b", "\xe2\x80\x8c", ".gitx",
    };
    struct err e;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check_ok(path_check(good[i], &e), &e);
}

static void branch_names_are_made_safe(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    static const char *const pairs[][2] = {
        { "Convert units!", "convert-units" }, { "--force", "force" }, { "", "unnamed" },
        { "../../HEAD", "head" }, { "a.lock", "a-lock" }, { "@{-1}", "1" }, { "T-3: Read $(rm -rf /) `x`", "t-3-read-rm-rf-x" },
        { "refs/heads/main", "refs-heads-main" }, { "\n", "unnamed" },
        { "a very long title that goes on and on beyond forty", "a-very-long-title-that-goes-on-and-on-be" },
        { "123456789012345678901234567890123456789 x", "123456789012345678901234567890123456789" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_string_equal(branch_safe(&a, pairs[i][0]), pairs[i][1]);
}

static void branch_names_keep_the_letters_of_any_script(void **state)
{
    struct fixture *f = *state;
    static const char *const pairs[][2] = {
        { "中文", "中文" }, { "单位，换算！", "单位-换算" }, { "Ελληνικά Γράμματα", "ελληνικά-γράμματα" },
        { "Größe & Höhe", "größe-höhe" }, { "cafe\u0301", "cafe\u0301" }, { "हिन्दी", "हिन्दी" }, { "ภาษาไทย", "ภาษาไทย" },
        { "שלום", "שלום" }, { "🚀", "unnamed" }, { "🚀 中", "中" }, { "a\u202eb\u200bc", "a-b-c" }, { "\u0301x", "x" },
        { "bad \xff\xc3 bytes\xe4\xb8", "bad-bytes" }, { "一二三四五六七八九十一二三四五", "一二三四五六七八九十一二三" },
    };
    struct oid begin = COMMIT(f, "main", NULL, "a", "a");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *name = branch_safe(&f->s.arena, pairs[i][0]);
        assert_string_equal(name, pairs[i][1]);
        COMMIT(f, name, &begin, "b", "b");
        assert_string_equal(git(f, "for-each-ref --format='%%(refname:short)' 'refs/heads/%s'", name), name);
    }
}

/* ---- trees ---- */

static void a_written_tree_is_what_git_makes_of_the_same_files(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "a.txt", "one\n", "a/b.txt", "two\n", "a-b", "three", "a/c/d/e", "", "z", "\n");
    const char *theirs = scratch_sh(&f->s,
        "git init -q w; cd w; mkdir -p a/c/d; printf 'one\\n' >a.txt; printf 'two\\n' >a/b.txt; printf three >a-b;"
        "printf '' >a/c/d/e; printf '\\n' >z; git add -A; git write-tree");
    assert_string_equal(t.hex, theirs);
    assert_string_equal(git(f, "fsck --strict --no-dangling 2>&1"), "notice: HEAD points to an unborn branch (main)\nnotice: No default references");
}

static void changes_add_replace_and_delete(void **state)
{
    struct fixture *f = *state;
    ARENA_LOCAL(a);
    struct oid one = TREE(f, NULL, "keep/x", "x", "keep/y", "y", "gone/deep/file", "g", "top", "t");
    struct oid two = TREE(f, &one, "keep/y", "Y", "gone/deep/file", NULL, "new/n", "n", "absent/never", NULL, "x", "r");
    struct tree t;
    check_ok(repo_tree(f->r, &a, &two, &t, &f->e), &f->e);
    assert_string_equal(git(f, "ls-tree -r --name-only %s", two.hex), "keep/x\nkeep/y\nnew/n\ntop\nx");
    assert_int_equal(t.count, 5);
    assert_null(tree_find(&t, "gone/deep/file"));
    const char *bytes;
    size_t len;
    check_ok(repo_file(f->r, &a, &two, "keep/y", &bytes, &len, &f->e), &f->e);
    assert_string_equal(bytes, "Y");
}

static void the_last_file_gone_leaves_the_empty_tree(void **state)
{
    struct fixture *f = *state;
    struct oid one = TREE(f, NULL, "d/x", "x");
    struct oid none = TREE(f, &one, "d/x", NULL);
    assert_string_equal(none.hex, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    ARENA_LOCAL(a);
    struct tree t;
    check_ok(repo_tree(f->r, &a, &none, &t, &f->e), &f->e);
    assert_int_equal(t.count, 0);
    check_ok(repo_tree(f->r, &a, &(struct oid){ "" }, &t, &f->e), &f->e);
    assert_int_equal(t.count, 0);
}

static void a_file_may_take_a_directorys_place_and_the_reverse_only_when_that_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct oid base = TREE(f, NULL, "d/x", "x", "f", "f"), out;
    struct tree_change below = { .path = "f/y", .bytes = "y", .len = 1 }, over = { .path = "d", .bytes = "d", .len = 1 };
    check_err(repo_write_tree(f->r, &base, &below, 1, &out, &f->e), ERR_REFUSED, &f->e, "\"f\" is a file, not a directory");
    check_err(repo_write_tree(f->r, &base, &over, 1, &out, &f->e), ERR_REFUSED, &f->e, "\"d\" is refused: it is a directory");
    check_err(repo_write_tree(f->r, &base, &(struct tree_change){ .path = "d" }, 1, &out, &f->e), ERR_REFUSED, &f->e,
              "cannot be deleted: it is a directory");
    struct tree_change both[] = { { .path = "n", .bytes = "n", .len = 1 }, { .path = "n/m", .bytes = "m", .len = 1 } };
    check_err(repo_write_tree(f->r, &base, both, 2, &out, &f->e), ERR_REFUSED, &f->e, "it is a directory");
    struct oid swapped = TREE(f, &base, "d", "now a file", "d/x", NULL, "f", NULL, "f/y", "below");
    assert_string_equal(git(f, "ls-tree -r --name-only %s", swapped.hex), "d\nf/y");
}

static void refused_paths_write_nothing(void **state)
{
    struct fixture *f = *state;
    struct oid out = { "untouched" };
    struct tree_change changes[] = { { .path = "fine", .bytes = "fine", .len = 4 }, { .path = ".git/hooks/x", .bytes = "x", .len = 1 } };
    check_err(repo_write_tree(f->r, NULL, changes, 2, &out, &f->e), ERR_REFUSED, &f->e, ".git/hooks/x");
    assert_string_equal(out.hex, "untouched");
    assert_string_equal(git(f, "count-objects"), "0 objects, 0 kilobytes");
    struct tree_change twice[] = { { .path = "a", .bytes = "1", .len = 1 }, { .path = "a", .bytes = "2", .len = 1 } };
    check_err(repo_write_tree(f->r, NULL, twice, 2, &out, &f->e), ERR_INVALID, &f->e, "\"a\" is changed twice");
}

static void bytes_come_back_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    ARENA_LOCAL(a);
    size_t big = 3 << 20;
    char *bytes = arena_alloc(&a, big);
    for (size_t i = 0; i < big; i++)
        bytes[i] = (char)(i * i >> 7);
    struct tree_change changes[] = { { .path = "big", .bytes = bytes, .len = big },
                                     { .path = "crlf", .bytes = "a\r\nb", .len = 4 },
                                     { .path = "nul", .bytes = "a\0b", .len = 3, .executable = true } };
    struct oid t;
    check_ok(repo_write_tree(f->r, NULL, changes, 3, &t, &f->e), &f->e);
    fixture_reopen(f); /* a cold cache: read from the object store */
    struct tree tree;
    check_ok(repo_tree(f->r, &a, &t, &tree, &f->e), &f->e);
    assert_int_equal(tree.files[0].size, -1);
    check_ok(repo_tree_sizes(f->r, &tree, &f->e), &f->e);
    for (size_t i = 0; i < 3; i++) {
        const char *read;
        size_t len;
        check_ok(repo_file(f->r, &a, &t, changes[i].path, &read, &len, &f->e), &f->e);
        assert_int_equal(len, changes[i].len);
        assert_int_equal(tree.files[i].size, changes[i].len);
        assert_memory_equal(read, changes[i].bytes, len);
    }
    assert_true(tree_find(&tree, "nul")->executable);
    assert_string_equal(git(f, "cat-file -s %s:big", t.hex), "3145728");
}

static void what_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    ARENA_LOCAL(a);
    struct oid t = TREE(f, NULL, "d/x", "x");
    const char *bytes;
    size_t len;
    check_err(repo_file(f->r, &a, &t, "d/y", &bytes, &len, &f->e), ERR_NOT_FOUND, &f->e, "no file d/y");
    check_err(repo_file(f->r, &a, &t, "d", &bytes, &len, &f->e), ERR_NOT_FOUND, &f->e, "no file d");
    check_err(repo_file(f->r, &a, &t, "d/x/z", &bytes, &len, &f->e), ERR_NOT_FOUND, &f->e, "no file d/x/z");
    struct oid no = { "1234567890123456789012345678901234567890" };
    check_err(repo_blob(f->r, &a, &no, &bytes, &len, &f->e), ERR_NOT_FOUND, &f->e, "no object 1234567890");
    check_err(repo_blob(f->r, &a, &t, &bytes, &len, &f->e), ERR_INVALID, &f->e, "is a tree, not a blob");
    check_err(repo_blob(f->r, &a, &(struct oid){ "HEAD" }, &bytes, &len, &f->e), ERR_INVALID, &f->e, "not an object id");
    check_err(repo_blob(f->r, &a, &(struct oid){ "--batch\nx" }, &bytes, &len, &f->e), ERR_INVALID, &f->e, "not an object id");
}

/* ---- checkout ---- */

static int room(struct fixture *f, const char *name)
{
    const char *path = scratch_path(&f->s, "%s", name);
    assert_int_equal(mkdir(path, 0700), 0);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void a_checkout_holds_the_tree_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    scratch_sh(&f->s, "git init -q w; cd w; mkdir -p a/b c; printf 'x\\r\\n$Id$' >a/crlf; echo run >a/b/run; chmod +x a/b/run;"
                      "ln -s b/run a/link; ln -s a/b up; ln -s ../a/crlf c/l; git add -A; echo '* text eol=lf ident' >.gitattributes;"
                      "git add .gitattributes; git commit -qm x; git push -q ../p.git main");
    struct oid head;
    check_ok(repo_ref(f->r, "refs/heads/main", &head, &f->e), &f->e);
    int fd = room(f, "out");
    mode_t old = umask(077);
    check_ok(repo_checkout(f->r, &head, fd, &f->e), &f->e);
    umask(old);
    close(fd);
    assert_string_equal(scratch_sh(&f->s, "cd out; find . -mindepth 1 -printf '%P %M %l\\n' | sort"),
                        ".gitattributes -rw-r--r-- \na drwxr-xr-x \na/b drwxr-xr-x \na/b/run -rwxr-xr-x \na/crlf -rw-r--r-- \n"
                        "a/link lrwxrwxrwx b/run\nc drwxr-xr-x \nc/l lrwxrwxrwx ../a/crlf\nup lrwxrwxrwx a/b");
    assert_string_equal(scratch_read(&f->s, "out/a/crlf"), "x\r\n$Id$");
    assert_string_equal(scratch_read(&f->s, "out/a/link"), "run\n");
}

static bool is_not_b(const char *path, void *ctx)
{
    (void)ctx;
    return !starts_with(path, "b/");
}

static void what_became_of_a_checkout_is_told(void **state)
{
    struct fixture *f = *state;
    scratch_sh(&f->s, "git init -q w; cd w; mkdir a b; echo 1 >a/same; echo 2 >a/other; echo 3 >a/gone; echo 4 >a/longer;"
                      "echo 5 >a/fifo; echo 6 >b/moved; ln -s same a/link; ln -s same a/turned; : >a/empty; git add -A;"
                      "git commit -qm x; git push -q ../p.git main");
    struct oid head;
    check_ok(repo_ref(f->r, "refs/heads/main", &head, &f->e), &f->e);
    int fd = room(f, "out");
    check_ok(repo_checkout(f->r, &head, fd, &f->e), &f->e);
    struct texts changed;
    check_ok(repo_checkout_compare(f->r, &head, fd, &f->s.arena, NULL, NULL, &changed, &f->e), &f->e);
    assert_int_equal(changed.count, 0);
    scratch_sh(&f->s, "cd out; touch -r a/other stamp; echo 9 >a/other; touch -r stamp a/other; rm a/gone; echo more >>a/longer;"
                      "rm a/fifo; mkfifo a/fifo; mv b elsewhere; ln -s elsewhere b; ln -sf other a/turned; touch a/same");
    check_ok(repo_checkout_compare(f->r, &head, fd, &f->s.arena, NULL, NULL, &changed, &f->e), &f->e);
    static const char *const wanted[] = { "a/fifo", "a/gone", "a/longer", "a/other", "a/turned", "b/moved" };
    assert_int_equal(changed.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(changed.items[i], wanted[i]);
    check_ok(repo_checkout_compare(f->r, &head, fd, &f->s.arena, is_not_b, NULL, &changed, &f->e), &f->e);
    assert_int_equal(changed.count, 5);
    close(fd);
}

static void a_checkout_into_a_directory_in_use_writes_over_nothing(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "d/x", "new");
    int fd = room(f, "out");
    scratch_write(&f->s, "out/d/x", "old");
    check_err(repo_checkout(f->r, &t, fd, &f->e), ERR_EXISTS, &f->e, "\"d\"");
    close(fd);
    assert_string_equal(scratch_read(&f->s, "out/d/x"), "old");
}

/* A tree that git itself would not write, with one entry of that name. */
#define RAW_TREE(name)                                                                      \
    "python3 -c \"import sys; sys.stdout.buffer.write(b'100644 " name "' + bytes(21))\" >t; " \
    "$G hash-object --literally -t tree -w t"

static void a_checkout_refuses_what_is_dangerous_in_others_trees(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[][2] = {
        { "printf '120000 blob %s\\tl\\n' $(printf /etc/passwd | $G hash-object -w --stdin) | $G mktree", "the link \"l\" is refused" },
        { "printf '120000 blob %s\\tl\\n' $(printf ../x | $G hash-object -w --stdin) | $G mktree", "to \"../x\"" },
        { "printf '120000 blob %s\\tl\\n' $(printf a/../../x | $G hash-object -w --stdin) | $G mktree", "leads out of the tree" },
        { "printf '160000 commit 1234567890123456789012345678901234567890\\tsub\\n' | $G mktree --missing", "\"sub\" is a submodule" },
        { "printf '100644 blob %s\\t.GIT\\n' $(printf x | $G hash-object -w --stdin) | $G mktree", "\".GIT\" is refused" },
        { RAW_TREE(".."), "\"..\" is refused" },
        { RAW_TREE("a/b"), "holds a slash" },
        { "printf '100644 a' >t; $G hash-object --literally -t tree -w t", "is damaged" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct oid t = { "" };
        const char *hex = sh(f, "G='git --git-dir=p.git'; %s", bad[i][0]);
        memcpy(t.hex, hex, 40);
        int fd = room(f, arena_printf(&f->s.arena, "out%zu", i));
        int code = repo_checkout(f->r, &t, fd, &f->e);
        close(fd);
        check_err(code, i + 1 < sizeof bad / sizeof *bad ? ERR_REFUSED : ERR_CORRUPT, &f->e, bad[i][1]);
        assert_string_equal(sh(f, "find out%zu -mindepth 1", i), "");
    }
}

/* ---- commits ---- */

static void the_same_intent_gives_the_same_commit_as_git_makes(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), one, again, other;
    struct commit_intent c = { .tree = t, .message = "Add x\n\nTicket: T-1", .author_name = " Tess <t>ester. ", .author_email = "tester@tandem",
                               .committer_name = "Ada", .committer_email = "ada@example.org", .time_s = 1700000000 };
    check_ok(repo_commit(f->r, &c, &one, &f->e), &f->e);
    check_ok(repo_commit(f->r, &c, &again, &f->e), &f->e);
    assert_string_equal(one.hex, again.hex);
    assert_string_equal(one.hex, git(f, "-c user.useConfigOnly=true hash-object --stdin </dev/null >/dev/null;"
        "printf 'Add x\\n\\nTicket: T-1\\n' | GIT_AUTHOR_NAME=' Tess <t>ester. ' GIT_AUTHOR_EMAIL=tester@tandem GIT_AUTHOR_DATE='1700000000 +0000' "
        "GIT_COMMITTER_DATE='1700000000 +0000' git --git-dir=p.git commit-tree %s", t.hex));
    c.time_s++;
    check_ok(repo_commit(f->r, &c, &other, &f->e), &f->e);
    assert_string_not_equal(one.hex, other.hex);
    ARENA_LOCAL(a);
    struct commit_info info;
    check_ok(repo_commit_info(f->r, &a, &one, &info, &f->e), &f->e);
    assert_string_equal(info.tree.hex, t.hex);
    assert_int_equal(info.parent_count, 0);
    assert_string_equal(info.author, "Tess tester <tester@tandem>");
    assert_string_equal(info.message, "Add x\n\nTicket: T-1\n");
    assert_int_equal(info.time_s, 1700000000);
}

static void a_commit_needs_a_tree_and_parents_that_are_there(void **state)
{
    struct fixture *f = *state;
    struct oid t = TREE(f, NULL, "x", "x"), out;
    struct commit_intent c = { .tree = { "1234567890123456789012345678901234567890" }, .message = "m" };
    check_err(repo_commit(f->r, &c, &out, &f->e), ERR_NOT_FOUND, &f->e, "no object 1234");
    c = (struct commit_intent){ .tree = t, .parents = { t }, .message = "m" };
    check_err(repo_commit(f->r, &c, &out, &f->e), ERR_INVALID, &f->e, "is a tree, not a commit");
    c = (struct commit_intent){ .tree = t, .message = "bad \xff bytes", .author_name = "\n<>", .time_s = 1 };
    check_ok(repo_commit(f->r, &c, &out, &f->e), &f->e);
    assert_string_equal(git(f, "log -1 --format='%%an %%ae %%s' %s", out.hex), "Tandem tandem@localhost bad \xef\xbf\xbd bytes");
    assert_string_equal(git(f, "fsck --strict --no-dangling 2>/dev/null"), "");
}

static void history_lists_children_before_parents(void **state)
{
    struct fixture *f = *state;
    ARENA_LOCAL(a);
    struct oid t = TREE(f, NULL, "x", "x");
    struct oid one = commit_of(f, &t, NULL, "one"), two = commit_of(f, &t, &one, "two"), three = commit_of(f, &t, &two, "three");
    struct oid side = commit_of(f, &t, &one, "side"), *log;
    size_t count;
    check_ok(repo_log(f->r, &a, &three, NULL, 10, &log, &count, &f->e), &f->e);
    assert_int_equal(count, 3);
    assert_string_equal(log[0].hex, three.hex);
    assert_string_equal(log[2].hex, one.hex);
    check_ok(repo_log(f->r, &a, &three, &one, 10, &log, &count, &f->e), &f->e);
    assert_int_equal(count, 2);
    check_ok(repo_log(f->r, &a, &three, NULL, 1, &log, &count, &f->e), &f->e);
    assert_int_equal(count, 1);
    bool is;
    check_ok(repo_is_ancestor(f->r, &one, &three, &is, &f->e), &f->e);
    assert_true(is);
    check_ok(repo_is_ancestor(f->r, &side, &three, &is, &f->e), &f->e);
    assert_false(is);
    check_ok(repo_is_ancestor(f->r, &three, &three, &is, &f->e), &f->e);
    assert_true(is);
    struct oid no = { "1234567890123456789012345678901234567890" };
    check_err(repo_is_ancestor(f->r, &no, &three, &is, &f->e), ERR_FAILED, &f->e, "git merge-base");
}

/* ---- differences ---- */

static void a_diff_is_plain_and_obeys_no_attribute_or_configuration(void **state)
{
    struct fixture *f = *state;
    struct oid one = TREE(f, NULL, "a.c", "one\ntwo\n", "bin", "x\n", ".gitattributes", "*.c -diff diff=evil\n", "old.txt", "1\n2\n3\n4\n5\n");
    struct oid two = TREE(f, &one, "a.c", "one\n2\n", "new/name.txt", "1\n2\n3\n4\n5\n", "old.txt", NULL);
    scratch_sh(&f->s, "git --git-dir=p.git config diff.evil.command 'touch canary'; git --git-dir=p.git config diff.external 'touch canary';"
                      "git --git-dir=p.git config diff.noprefix true; git --git-dir=p.git config diff.evil.textconv 'touch canary;cat'");
    STR_LOCAL(out);
    check_ok(repo_diff(f->r, &one, &two, 10000, &out, &f->e), &f->e);
    assert_string_equal(out.data, "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
                                  "diff --git a/old.txt b/new/name.txt\nsimilarity index 100%\nrename from old.txt\nrename to new/name.txt\n");
    assert_false(scratch_has(&f->s, "canary"));
    ARENA_LOCAL(a);
    struct texts changed;
    check_ok(repo_changed(f->r, &a, &one, &two, &changed, &f->e), &f->e);
    assert_int_equal(changed.count, 3);
    assert_string_equal(changed.items[0], "a.c");
    assert_string_equal(changed.items[2], "old.txt");
    check_ok(repo_changed(f->r, &a, &one, &one, &changed, &f->e), &f->e);
    assert_int_equal(changed.count, 0);
    str_clear(&out);
    check_ok(repo_diff(f->r, NULL, &one, 10000, &out, &f->e), &f->e);
    assert_non_null(strstr(out.data, "+++ b/old.txt\n@@ -0,0 +1,5 @@\n"));
}

static void changed_files_are_those_that_git_names_in_its_order(void **state)
{
    struct fixture *f = *state;
    struct oid one = TREE(f, NULL, "a", "file\n", "a-c/x", "1\n", "a.b", "same\n", "d/gone", "1\n", "d/e/deep", "1\n", "same/f", "1\n");
    struct oid two = TREE(f, &one, "a", NULL, "a/b/c", "now a directory\n", "a-c/x", "2\n", "d/gone", NULL, "d/e/deep", "2\n", "z", "new\n");
    ARENA_LOCAL(a);
    const struct oid *const pairs[][2] = { { &one, &two }, { &two, &one }, { NULL, &two }, { &one, NULL } };
    for (size_t i = 0; i < 4; i++) {
        struct texts changed;
        check_ok(repo_changed(f->r, &a, pairs[i][0], pairs[i][1], &changed, &f->e), &f->e);
        STR_LOCAL(names);
        for (size_t k = 0; k < changed.count; k++)
            str_addf(&names, "%s ", changed.items[k]);
        const char *script = arena_printf(&a, "empty=$(git --git-dir=p.git hash-object -t tree /dev/null);"
                                              "git --git-dir=p.git diff-tree -r --name-only --no-renames %s %s | tr '\\n' ' '",
                                          pairs[i][0] ? pairs[i][0]->hex : "$empty", pairs[i][1] ? pairs[i][1]->hex : "$empty");
        str_rtrim(&names);
        assert_string_equal(names.data, scratch_sh(&f->s, script));
    }
}

static void a_long_diff_is_cut_at_a_line_and_says_so(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(text);
    for (int i = 0; i < 200000; i++)
        str_addf(&text, "line %d\n", i);
    struct oid t = TREE(f, NULL, "long", text.data);
    STR_LOCAL(out);
    check_ok(repo_diff(f->r, NULL, &t, 500, &out, &f->e), &f->e);
    assert_true(out.len <= 500 && out.len > 400);
    assert_true(ends_with(out.data, "\n(the rest of the diff is left out)\n"));
}

/* ---- the helper ---- */

static void reading_goes_on_when_the_helper_was_killed(void **state)
{
    struct fixture *f = *state;
    ARENA_LOCAL(a);
    struct oid t = TREE(f, NULL, "x", "x");
    fixture_reopen(f);
    struct oid no = { "1234567890123456789012345678901234567890" };
    const char *bytes;
    size_t len;
    assert_int_equal(repo_blob(f->r, &a, &no, &bytes, &len, &f->e), ERR_NOT_FOUND); /* it runs now */
    const char *pid = scratch_sh(&f->s, "for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q \"git --git-dir=$PWD/p.git cat-file\";"
                                        "then basename $p; fi; done");
    long long n;
    assert_true(parse_int(pid, 2, INT32_MAX, &n));
    assert_int_equal(kill((pid_t)n, SIGKILL), 0);
    check_ok(repo_file(f->r, &a, &t, "x", &bytes, &len, &f->e), &f->e);
    assert_string_equal(bytes, "x");
}

static void a_repository_is_made_once_and_opened_only_where_one_is(void **state)
{
    struct fixture *f = *state;
    struct repo *r;
    check_err(repo_create(scratch_path(&f->s, "p.git"), "main", &f->e), ERR_EXISTS, &f->e, "p.git already");
    check_err(repo_create(scratch_path(&f->s, "q.git"), "-x", &f->e), ERR_INVALID, &f->e, "\"-x\"");
    check_err(repo_create(scratch_path(&f->s, "q.git"), "a..b", &f->e), ERR_INVALID, &f->e, "a..b");
    check_err(repo_open(&r, scratch_path(&f->s, "absent"), &f->e), ERR_NOT_FOUND, &f->e, "absent");
    scratch_sh(&f->s, "mkdir empty; mkdir q.git.unfinished; echo half >q.git.unfinished/HEAD");
    check_err(repo_open(&r, scratch_path(&f->s, "empty"), &f->e), ERR_CORRUPT, &f->e, "not a repository of ours");
    check_ok(repo_create(scratch_path(&f->s, "q.git"), "trunk", &f->e), &f->e);
    assert_string_equal(scratch_sh(&f->s, "git --git-dir=q.git symbolic-ref HEAD; ls -d q.git*"), "refs/heads/trunk\nq.git");
}

static void a_repository_is_not_called_broken_when_git_cannot_be_asked(void **state)
{
    struct fixture *f = *state;
    struct repo *r;
    enum { MANY = 200 };
    struct rlimit before, few;
    int taken[MANY], count = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){ .rlim_cur = MANY, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < MANY && (taken[count] = dup(0)) >= 0)
        count++;
    close(taken[--count]);
    int code = repo_open(&r, scratch_path(&f->s, "p.git"), &f->e);
    while (count)
        close(taken[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    check_err(code, ERR_FAILED, &f->e, "cannot open the repository");
    check_ok(repo_open(&r, scratch_path(&f->s, "p.git"), &f->e), &f->e);
    repo_free(r);
    scratch_sh(&f->s, "cp -r p.git q.git; echo '[core' >q.git/config");
    check_err(repo_open(&r, scratch_path(&f->s, "q.git"), &f->e), ERR_CORRUPT, &f->e, "bad config");
}

static void packing_changes_nothing_that_is_read(void **state)
{
    struct fixture *f = *state;
    ARENA_LOCAL(a);
    struct oid t = TREE(f, NULL, "x", "x"), c = commit_of(f, &t, NULL, "m");
    check_ok(repo_ref_move(f->r, "refs/heads/main", NULL, &c, &f->e), &f->e);
    git(f, "gc -q --prune=now");
    check_ok(repo_maintain(f->r, &f->e), &f->e);
    const char *bytes;
    size_t len;
    check_ok(repo_file(f->r, &a, &c, "x", &bytes, &len, &f->e), &f->e);
    struct oid head, again = TREE(f, NULL, "x", "x");
    check_ok(repo_ref(f->r, "refs/heads/main", &head, &f->e), &f->e);
    assert_string_equal(head.hex, c.hex);
    assert_string_equal(again.hex, t.hex);
}

static void a_free_name_stands_beside_all_that_are_taken(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    static const char *const taken_names[] = { "main", "DEV", "feature/core", "Feature/Units-2", "feature/deep/er", "ticket" };
    static const char *const cases[][3] = {
        { "feature", "new", "feature/new" }, { "feature", "new", "feature/new-2" }, { "feature", "new", "feature/new-3" },
        { "feature", "core", "feature/core-2" }, { "feature", "core-2", "feature/core-2-2" },
        { "feature", "units-2", "feature/units-2-2" }, /* where files differ in more than case */
        { "feature", "deep", "feature/deep-2" },       /* another's directory */
        { "ticket", "T-1", "ticket-2/T-1" }, { "ticket", "T-2", "ticket-2/T-2" },
    };
    struct texts taken = { 0 };
    for (size_t i = 0; i < sizeof taken_names / sizeof *taken_names; i++)
        texts_add(&taken, &a, taken_names[i]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(branch_free(&a, &taken, cases[i][0], cases[i][1]), cases[i][2]);
}

/* A process that was killed made the directory, and never came to syncing its name. */
static void the_name_of_a_directory_of_objects_that_was_there_is_synced(void **state)
{
    struct fixture *f = *state;
    char *objects = realpath(scratch_path(&f->s, "p.git/objects"), NULL);
    sh(f, "cd p.git/objects; for a in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do for b in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do mkdir -p $a$b; done; done");
    synced.count = 0;
    TREE(f, NULL, "a", "one");
    assert_true(was_synced(objects));
    free(objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disguises_of_dotgit_are_refused),
        cmocka_unit_test(paths_that_are_not_plain_are_refused_with_the_reason),
        cmocka_unit_test(ordinary_paths_are_accepted),
        cmocka_unit_test(branch_names_are_made_safe),
        with_repo(the_name_of_a_directory_of_objects_that_was_there_is_synced),
        with_repo(branch_names_keep_the_letters_of_any_script),
        with_repo(a_written_tree_is_what_git_makes_of_the_same_files),
        with_repo(changes_add_replace_and_delete),
        with_repo(the_last_file_gone_leaves_the_empty_tree),
        with_repo(a_file_may_take_a_directorys_place_and_the_reverse_only_when_that_is_deleted),
        with_repo(refused_paths_write_nothing),
        with_repo(bytes_come_back_as_they_went_in),
        with_repo(what_is_not_there_is_named),
        with_repo(a_checkout_holds_the_tree_byte_for_byte),
        with_repo(what_became_of_a_checkout_is_told),
        with_repo(a_checkout_into_a_directory_in_use_writes_over_nothing),
        with_repo(a_checkout_refuses_what_is_dangerous_in_others_trees),
        with_repo(the_same_intent_gives_the_same_commit_as_git_makes),
        with_repo(a_commit_needs_a_tree_and_parents_that_are_there),
        with_repo(history_lists_children_before_parents),
        with_repo(a_diff_is_plain_and_obeys_no_attribute_or_configuration),
        with_repo(changed_files_are_those_that_git_names_in_its_order),
        with_repo(a_long_diff_is_cut_at_a_line_and_says_so),
        with_repo(reading_goes_on_when_the_helper_was_killed),
        with_repo(a_repository_is_made_once_and_opened_only_where_one_is),
        with_repo(a_repository_is_not_called_broken_when_git_cannot_be_asked),
        with_repo(packing_changes_nothing_that_is_read),
        cmocka_unit_test(a_free_name_stands_beside_all_that_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
