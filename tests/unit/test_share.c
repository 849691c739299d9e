/* Embedded files and what overrides them. */
#include "check.h"

#include "base/arena.h"
#include "os/share.h"

#include <sys/stat.h>
#include <unistd.h>

static char home[64], project[64];
static const char *dirs[3];

static void write_file(const char *dir, const char *path, const char *text)
{
    char full[200];
    snprintf(full, sizeof full, "%s/%s", dir, path);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_dirs(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/tandem-share-XXXXXX");
    snprintf(project, sizeof project, "/tmp/tandem-share-XXXXXX");
    assert_non_null(mkdtemp(home));
    assert_non_null(mkdtemp(project));
    dirs[0] = project;
    dirs[1] = home;
    for (int i = 0; i < 2; i++) {
        char prompts[100];
        snprintf(prompts, sizeof prompts, "%s/prompts", dirs[i]);
        assert_int_equal(mkdir(prompts, 0700), 0);
    }
    return 0;
}

static int remove_dirs(void **state)
{
    (void)state;
    static const char *const names[] = { "prompts/a.md", "prompts/b.md", "prompts/link", "prompts", "" };
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            char full[200];
            snprintf(full, sizeof full, "%s/%s", dirs[i], names[n]);
            (void)remove(full);
        }
    }
    return 0;
}

static void what_ships_is_in_the_binary(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *text;
    size_t len;
    check_ok(share_read(&a, "stacks/scaffold/python/gitignore", NULL, &text, &len, &e), &e);
    assert_non_null(strstr(text, "__pycache__"));
    assert_int_equal(strlen(text), len);
    check_err(share_read(&a, "stacks/none", NULL, &text, &len, &e), ERR_NOT_FOUND, &e, "there is no stacks/none");
}

static void the_strongest_override_wins(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *text;
    size_t len;
    write_file(home, "prompts/a.md", "of the home");
    check_ok(share_read(&a, "prompts/a.md", dirs, &text, &len, &e), &e);
    assert_string_equal(text, "of the home");
    write_file(project, "prompts/a.md", "of the project");
    check_ok(share_read(&a, "prompts/a.md", dirs, &text, &len, &e), &e);
    assert_string_equal(text, "of the project");
    assert_int_equal(len, 14);
}

static void a_list_has_each_path_once(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct texts list;
    write_file(home, "prompts/a.md", "x");
    write_file(home, "prompts/b.md", "x");
    write_file(project, "prompts/a.md", "x");
    check_ok(share_list(&a, "prompts/", dirs, &list, &e), &e);
    assert_true(texts_has(&list, "prompts/b.md"));
    size_t seen = 0;
    for (size_t i = 0; i < list.count; i++)
        seen += strcmp(list.items[i], "prompts/a.md") == 0;
    assert_int_equal(seen, 1);
    for (size_t i = 1; i < list.count; i++)
        assert_true(strcmp(list.items[i - 1], list.items[i]) < 0);
}

static void links_and_ways_out_are_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *text = "untouched";
    size_t len;
    char link[200];
    snprintf(link, sizeof link, "%s/prompts/link", project);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    check_err(share_read(&a, "prompts/link", dirs, &text, &len, &e), ERR_REFUSED, &e, "prompts/link");
    static const char *const paths[] = { "../x", "/etc/passwd", "a//b", "a/./b", "a/..", "a/" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        check_err(share_read(&a, paths[i], dirs, &text, &len, &e), ERR_REFUSED, &e, dirs[0]);
    struct texts list;
    check_err(share_list(&a, "../x/", dirs, &list, &e), ERR_REFUSED, &e, "not a folder");
    check_err(share_list(&a, "", dirs, &list, &e), ERR_REFUSED, &e, "not a folder");
    assert_string_equal(text, "untouched");
}

static void directories_that_do_not_exist_are_skipped(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *text;
    size_t len;
    const char *const none[] = { "/nonexistent/tandem", NULL };
    struct texts list;
    check_ok(share_read(&a, "stacks/scaffold/python/gitignore", none, &text, &len, &e), &e);
    check_ok(share_list(&a, "stacks/", none, &list, &e), &e);
    assert_true(list.count > 0);
}

#define WITH_DIRS(test) cmocka_unit_test_setup_teardown(test, make_dirs, remove_dirs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ships_is_in_the_binary),
        WITH_DIRS(the_strongest_override_wins),
        WITH_DIRS(a_list_has_each_path_once),
        WITH_DIRS(links_and_ways_out_are_refused),
        cmocka_unit_test(directories_that_do_not_exist_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
