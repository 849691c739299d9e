/* The folder of model files: what is taken in is whole, and nothing is left of what is not. */
#include "check.h"
#include "tmpdir.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/shelf.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct fixture {
    struct tmpdir dir;
    struct arena arena;
    const char *file, *shelf;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err e;
    f = (struct fixture){ .dir = tmpdir_make() };
    f.file = arena_printf(&f.arena, "%s/m.gguf", f.dir.path);
    f.shelf = arena_printf(&f.arena, "%s/models", f.dir.path);
    check_ok(file_write(f.dir.fd, "m.gguf", "GGUF and more", 13, 0644, false, &e), &e);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_release(&f->arena);
    tmpdir_remove(&f->dir);
    return 0;
}

static size_t files_on(struct fixture *f)
{
    struct file_entry *entries;
    size_t count = 0;
    int fd;
    struct err e;
    check_ok(dir_open(f->shelf, true, &fd, &e), &e);
    check_ok(file_list(fd, &f->arena, 100, &entries, &count, &e), &e);
    close(fd);
    return count;
}

static void a_file_is_found_under_its_digest_and_taken_in_once(void **state)
{
    struct fixture *f = *state;
    struct shelf_options o = { .dir = f->shelf };
    struct digest d, again, whole = digest_of("GGUF and more", 13);
    int64_t bytes;
    bool was_there;
    struct err e;
    check_ok(shelf_put(f->file, &o, &d, &bytes, &was_there, &e), &e);
    assert_string_equal(d.hex, whole.hex);
    assert_int_equal(bytes, 13);
    assert_false(was_there);
    check_ok(shelf_put(f->file, &o, &again, &bytes, &was_there, &e), &e);
    assert_true(was_there);
    assert_int_equal(files_on(f), 1);
    check_ok(shelf_verify(f->shelf, d.hex, NULL, &e), &e);
    check_ok(shelf_remove(f->shelf, d.hex, NULL, &e), &e);
    check_err(shelf_remove(f->shelf, d.hex, NULL, &e), ERR_NOT_FOUND, &e, "there is no model file");
    assert_int_equal(files_on(f), 0);
}

static void what_is_not_whole_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct shelf_options o = { .dir = f->shelf, .expected = "0000" };
    struct digest d;
    int64_t bytes;
    bool was_there;
    struct err e;
    check_err(shelf_put(f->file, &o, &d, &bytes, &was_there, &e), ERR_CONFLICT, &e, "is not the file that was expected: its SHA-256 is");
    o.expected = NULL;
    check_err(shelf_put(f->shelf, &o, &d, &bytes, &was_there, &e), ERR_INVALID, &e, "is not a regular file");
    check_err(shelf_put("/no/such/file", &o, &d, &bytes, &was_there, &e), ERR_NOT_FOUND, &e, "there is no file /no/such/file");
    atomic_bool cancel = true;
    o.cancel = &cancel;
    check_err(shelf_put(f->file, &o, &d, &bytes, &was_there, &e), ERR_CANCELLED, &e, "nothing was taken in");
    assert_int_equal(files_on(f), 0);
}

/* The nearest to a full disk that needs no mount: no file may grow beyond a limit. */
static void a_full_disk_is_told_with_what_is_needed(void **state)
{
    struct fixture *f = *state;
    struct shelf_options o = { .dir = f->shelf };
    struct digest d;
    int64_t bytes;
    bool was_there;
    struct err e;
    struct rlimit before, small = { 4, RLIM_INFINITY };
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    int r = shelf_put(f->file, &o, &d, &bytes, &was_there, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    check_err(r, ERR_FULL, &e, "it needs 1 MiB in");
    assert_int_equal(files_on(f), 0);
}

static void a_file_that_changed_on_the_shelf_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct shelf_options o = { .dir = f->shelf };
    struct digest d;
    int64_t bytes;
    bool was_there;
    struct err e;
    check_ok(shelf_put(f->file, &o, &d, &bytes, &was_there, &e), &e);
    int fd;
    check_ok(dir_open(f->shelf, false, &fd, &e), &e);
    check_ok(file_write(fd, arena_printf(&f->arena, "%s.gguf", d.hex), "GGUF", 4, 0644, false, &e), &e);
    close(fd);
    check_err(shelf_verify(f->shelf, d.hex, NULL, &e), ERR_CORRUPT, &e, "has changed since it was taken in");
}

static void a_file_stays_until_its_last_user_takes_it_away(void **state)
{
    struct fixture *f = *state;
    struct shelf_options one = { .dir = f->shelf, .user = "one" }, two = { .dir = f->shelf, .user = "two" };
    struct digest d;
    int64_t bytes;
    bool was_there;
    struct err e;
    check_ok(shelf_put(f->file, &one, &d, &bytes, &was_there, &e), &e);
    check_ok(shelf_put(f->file, &one, &d, &bytes, &was_there, &e), &e);
    check_ok(shelf_put(f->file, &two, &d, &bytes, &was_there, &e), &e);
    assert_true(was_there);
    check_ok(shelf_remove(f->shelf, d.hex, "one", &e), &e);
    check_ok(shelf_verify(f->shelf, d.hex, NULL, &e), &e);
    check_ok(shelf_remove(f->shelf, d.hex, "two", &e), &e);
    assert_int_equal(files_on(f), 0);
}

static void what_a_killed_import_left_is_removed_by_the_next_one(void **state)
{
    struct fixture *f = *state;
    struct shelf_options o = { .dir = f->shelf };
    struct digest d;
    int64_t bytes;
    bool was_there;
    struct err e;
    struct timespec long_ago[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    int dir, busy;
    check_ok(dir_open(f->shelf, true, &dir, &e), &e);
    check_ok(file_write(dir, ".new-1-1", "left", 4, 0644, false, &e), &e);
    check_ok(file_write(dir, ".new-1-2", "busy", 4, 0644, false, &e), &e);
    check_ok(file_write(dir, ".new-1-3", "begun", 5, 0644, false, &e), &e);
    assert_int_equal(utimensat(dir, ".new-1-1", long_ago, 0), 0);
    assert_int_equal(utimensat(dir, ".new-1-2", long_ago, 0), 0);
    assert_true((busy = openat(dir, ".new-1-2", O_RDONLY)) >= 0);
    assert_int_equal(flock(busy, LOCK_EX), 0);
    check_ok(shelf_put(f->file, &o, &d, &bytes, &was_there, &e), &e);
    assert_int_equal(faccessat(dir, ".new-1-1", F_OK, 0), -1);
    assert_int_equal(faccessat(dir, ".new-1-2", F_OK, 0), 0); /* another one is at it, */
    assert_int_equal(faccessat(dir, ".new-1-3", F_OK, 0), 0); /* ... or about to be */
    close(busy);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_found_under_its_digest_and_taken_in_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_whole_leaves_nothing_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_stays_until_its_last_user_takes_it_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_import_left_is_removed_by_the_next_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told_with_what_is_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_changed_on_the_shelf_is_noticed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
