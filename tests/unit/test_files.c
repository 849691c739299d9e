/* Files beneath a root: nothing leads out, nothing is half written, everything can be deleted. */
#include "check.h"
#include "synced.h"
#include "tmpdir.h"

#include "base/arena.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void text_is(int root, const char *path, const char *expected)
{
    STR_LOCAL(text);
    struct err e;
    check_ok(file_read(root, path, 1000, &text, &e), &e);
    assert_string_equal(text.data, expected);
}

static void the_names_of_a_new_directory_and_its_parents_are_synced(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    ARENA_LOCAL(a);
    struct err e;
    int fd;
    synced.count = 0;
    check_ok(dir_open(arena_printf(&a, "%s/one/two", t.path), true, &fd, &e), &e);
    close(fd);
    assert_true(was_synced(t.path));
    assert_true(was_synced(arena_printf(&a, "%s/one", t.path)));
    tmpdir_remove(&t);
}

static void write_makes_parents_and_replaces(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_write(t.fd, "a/b/c.txt", "one", 3, 0640, true, &e), &e);
    text_is(t.fd, "a/b/c.txt", "one");
    check_ok(file_write(t.fd, "a/b/c.txt", "three", 5, 0600, false, &e), &e);
    text_is(t.fd, "a/b/c.txt", "three");
    struct stat st;
    assert_int_equal(fstatat(t.fd, "a/b/c.txt", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    ARENA_LOCAL(a);
    struct file_entry *items;
    size_t count;
    check_ok(file_list(t.fd, &a, 10, &items, &count, &e), &e);
    assert_int_equal(count, 3); /* no temporary file is left */
    tmpdir_remove(&t);
}

static void move_makes_parents_and_replaces_files_alone(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_create(t.fd, "new/one", "1", 1, 0755, &e), &e);
    check_ok(file_move(t.fd, "new/one", t.fd, "a/b/c", &e), &e);
    text_is(t.fd, "a/b/c", "1");
    check_ok(file_create(t.fd, "new/two", "2", 1, 0644, &e), &e);
    check_ok(file_move(t.fd, "new/two", t.fd, "a/b/c", &e), &e);
    text_is(t.fd, "a/b/c", "2");
    assert_false(file_exists(t.fd, "new/two"));
    check_err(file_move(t.fd, "new/two", t.fd, "a/b/c", &e), ERR_NOT_FOUND, &e, "a/b/c");
    check_ok(file_create(t.fd, "new/three", "3", 1, 0644, &e), &e);
    check_err(file_move(t.fd, "new/three", t.fd, "a/b", &e), ERR_REFUSED, &e, "not a regular file");
    check_err(file_move(t.fd, "a/b", t.fd, "new/four", &e), ERR_REFUSED, &e, "not a regular file");
    assert_int_equal(symlinkat("b", t.fd, "a/link"), 0);
    check_err(file_move(t.fd, "new/three", t.fd, "a/link", &e), ERR_REFUSED, &e, "not a regular file");
    check_err(file_move(t.fd, "new/three", t.fd, "a/link/c", &e), ERR_REFUSED, &e, "a/link/c");
    text_is(t.fd, "new/three", "3");
    tmpdir_remove(&t);
}

static void create_refuses_what_exists(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_create(t.fd, "x/y", "1", 1, 0755, &e), &e);
    check_err(file_create(t.fd, "x/y", "2", 1, 0755, &e), ERR_EXISTS, &e, "x/y");
    text_is(t.fd, "x/y", "1");
    check_err(file_create(t.fd, "x", "2", 1, 0755, &e), ERR_EXISTS, &e, "x");
    assert_true(file_create(t.fd, "x/y/z", "2", 1, 0755, &e) < 0);
    tmpdir_remove(&t);
}

static void create_gives_the_exact_mode_whatever_the_umask(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    mode_t old = umask(077);
    check_ok(file_create(t.fd, "run", "", 0, 0755, &e), &e);
    umask(old);
    struct stat st;
    assert_int_equal(fstatat(t.fd, "run", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    tmpdir_remove(&t);
}

static const char *const escapes[] = {
    "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./x", "a//b", "a/", "link/x", "link", "a/link/passwd",
    "a/absolute/passwd", "dangling",
};

static void no_path_leads_out_of_the_root(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_create(t.fd, "a/real", "in", 2, 0644, &e), &e);
    assert_int_equal(symlinkat("..", t.fd, "link"), 0);
    assert_int_equal(symlinkat("/etc", t.fd, "a/link"), 0);
    assert_int_equal(symlinkat("/etc", t.fd, "a/absolute"), 0);
    assert_int_equal(symlinkat("nowhere", t.fd, "dangling"), 0);
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        STR_LOCAL(text);
        check_err(file_read(t.fd, escapes[i], 1000, &text, &e), ERR_REFUSED, &e, escapes[i]);
        check_err(file_write(t.fd, escapes[i], "x", 1, 0644, false, &e), ERR_REFUSED, &e, escapes[i]);
        assert_true(file_create(t.fd, escapes[i], "x", 1, 0644, &e) < 0);
        assert_int_equal(text.len, 0);
    }
    assert_false(file_exists(t.fd, "a/link/passwd"));
    assert_true(file_exists(t.fd, "a/link")); /* the link itself */
    text_is(t.fd, "a/real", "in");
    tmpdir_remove(&t);
}

static void read_takes_regular_files_within_the_limit(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    STR_LOCAL(text);
    str_add(&text, "before:");
    check_ok(file_create(t.fd, "ten", "0123456789", 10, 0644, &e), &e);
    check_err(file_read(t.fd, "ten", 9, &text, &e), ERR_LIMIT, &e, "9 bytes");
    assert_string_equal(text.data, "before:");
    check_ok(file_read(t.fd, "ten", 10, &text, &e), &e);
    assert_string_equal(text.data, "before:0123456789");
    check_err(file_read(t.fd, "none", 9, &text, &e), ERR_NOT_FOUND, &e, "none");
    assert_int_equal(mkfifoat(t.fd, "fifo", 0644), 0);
    check_err(file_read(t.fd, "fifo", 9, &text, &e), ERR_REFUSED, &e, "regular"); /* and does not hang */
    assert_int_equal(mkdirat(t.fd, "dir", 0755), 0);
    check_err(file_read(t.fd, "dir", 9, &text, &e), ERR_REFUSED, &e, "regular");
    check_err(file_write(t.fd, "fifo", "x", 1, 0644, false, &e), ERR_REFUSED, &e, "regular");
    tmpdir_remove(&t);
}

static void files_whose_size_lies_are_read_to_their_end(void **state)
{
    (void)state;
    struct err e;
    STR_LOCAL(text);
    check_ok(file_read_path("/proc/self/status", 100000, &text, &e), &e); /* st_size is 0 */
    assert_non_null(strstr(text.data, "Threads:"));
    check_err(file_read_path("/proc/self/status", 10, &text, &e), ERR_LIMIT, &e, "10 bytes");
    check_err(file_read_path("/dev/zero", 10, &text, &e), ERR_REFUSED, &e, "regular");
}

static void list_is_sorted_bounded_and_does_not_follow(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_create(t.fd, "b/2", "22", 2, 0644, &e), &e);
    check_ok(file_create(t.fd, "a", "1", 1, 0755, &e), &e);
    assert_int_equal(symlinkat("/etc", t.fd, "b/link"), 0);
    ARENA_LOCAL(a);
    struct file_entry *items;
    size_t count;
    check_ok(file_list(t.fd, &a, 4, &items, &count, &e), &e);
    assert_int_equal(count, 4);
    assert_string_equal(items[0].path, "a");
    assert_int_equal(items[0].mode, S_IFREG | 0755);
    assert_string_equal(items[1].path, "b");
    assert_true(S_ISDIR(items[1].mode));
    assert_string_equal(items[2].path, "b/2");
    assert_int_equal(items[2].size, 2);
    assert_true(S_ISLNK(items[3].mode));
    check_err(file_list(t.fd, &a, 3, &items, &count, &e), ERR_LIMIT, &e, "more than 3");
    tmpdir_remove(&t);
}

/* A chain of directories of which the path is longer than the kernel takes. */
static void nest(int root, int levels)
{
    int at = dup(root);
    for (int i = 0; i < levels; i++) {
        assert_int_equal(mkdirat(at, "deep", 0700), 0);
        int next = openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
}

static void anything_can_be_deleted(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    nest(t.fd, 3000);
    check_ok(file_create(t.fd, "locked/in/file", "x", 1, 0, &e), &e);
    check_ok(file_create(t.fd, ".tandem-delete-0/x", "x", 1, 0, &e), &e); /* the name it would move to */
    assert_int_equal(symlinkat("/etc", t.fd, "locked/in/link"), 0);
    ARENA_LOCAL(a);
    struct file_entry *items;
    size_t count;
    check_err(file_list(t.fd, &a, 10000, &items, &count, &e), ERR_LIMIT, &e, "deep");
    assert_int_equal(fchmodat(t.fd, "locked/in", 0, 0), 0);
    assert_int_equal(fchmodat(t.fd, "locked", 0, 0), 0);
    assert_int_equal(fchmod(t.fd, 0), 0);
    check_ok(dir_empty(t.fd, &e), &e);
    check_ok(file_list(t.fd, &a, 10, &items, &count, &e), &e);
    assert_int_equal(count, 0);
    assert_true(file_exists(t.fd, "x") == false && access("/etc/passwd", F_OK) == 0);
    tmpdir_remove(&t);
}

static void remove_takes_files_and_links_only(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_create(t.fd, "d/f", "x", 1, 0644, &e), &e);
    assert_int_equal(symlinkat("f", t.fd, "d/l"), 0);
    check_ok(file_remove(t.fd, "d/l", &e), &e);
    check_ok(file_remove(t.fd, "d/f", &e), &e);
    check_err(file_remove(t.fd, "d/f", &e), ERR_NOT_FOUND, &e, "d/f");
    assert_true(file_remove(t.fd, "d", &e) < 0);
    tmpdir_remove(&t);
}

static void a_second_lock_names_the_holder(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    char path[300], holder[64];
    snprintf(path, sizeof path, "%s/lock", t.path);
    snprintf(holder, sizeof holder, "process %ld", (long)getpid());
    struct err e;
    int fd, second;
    check_ok(lock_take(path, &fd, &e), &e);
    check_err(lock_take(path, &second, &e), ERR_BUSY, &e, holder);
    close(fd);
    check_ok(lock_take(path, &fd, &e), &e);
    close(fd);
    tmpdir_remove(&t);
}

static void a_lock_ends_with_its_process(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    char path[300];
    snprintf(path, sizeof path, "%s/lock", t.path);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd;
        struct err e;
        char byte = (char)(lock_take(path, &fd, &e) == 0);
        if (write(ready[1], &byte, 1) == 1)
            sleep(30);
        _exit(0);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    struct err e;
    int fd;
    check_err(lock_take(path, &fd, &e), ERR_BUSY, &e, "locked by process");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    check_ok(lock_take(path, &fd, &e), &e);
    close(fd);
    close(ready[0]);
    close(ready[1]);
    tmpdir_remove(&t);
}

static void dir_open_makes_private_directories(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    char path[300];
    snprintf(path, sizeof path, "%s/one/two", t.path);
    struct err e;
    int fd;
    check_err(dir_open(path, false, &fd, &e), ERR_NOT_FOUND, &e, path);
    check_ok(dir_open(path, true, &fd, &e), &e);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    close(fd);
    tmpdir_remove(&t);
}

/* Somebody who may write beneath the root swaps a directory for a link as fast as he can. */
static atomic_bool stop_swapping;
static void *swap_for_a_link(void *root)
{
    int fd = *(int *)root;
    while (!stop_swapping) {
        renameat2(fd, "door", fd, "trap", RENAME_EXCHANGE);
    }
    return NULL;
}

static void a_link_planted_meanwhile_leads_nowhere(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make(), outside = tmpdir_make();
    struct err e;
    assert_int_equal(mkdirat(t.fd, "door", 0755), 0);
    assert_int_equal(symlinkat(outside.path, t.fd, "trap"), 0);
    pthread_t thread;
    stop_swapping = false;
    assert_int_equal(pthread_create(&thread, NULL, swap_for_a_link, &t.fd), 0);
    for (int i = 0; i < 2000; i++)
        file_write(t.fd, "door/x", "x", 1, 0644, false, &e);
    stop_swapping = true;
    pthread_join(thread, NULL);
    assert_false(file_exists(outside.fd, "x"));
    tmpdir_remove(&t);
    tmpdir_remove(&outside);
}

struct pipe_reader {
    int fd;
    size_t count;
    pthread_t writer;
};

static void nothing(int signal_number) { (void)signal_number; }

/* Interrupts who writes before it takes each piece: once in the midst of one, and once more when
 * the pipe is full before anything of the next is in it. */
static void *read_slowly(void *ctx)
{
    struct pipe_reader *r = ctx;
    char piece[1 << 16];
    for (ssize_t n = 1; n > 0; r->count += (size_t)(n > 0 ? n : 0)) {
        for (int i = 0; i < 3; i++) {
            usleep(1000);
            pthread_kill(r->writer, SIGUSR1);
        }
        n = read(r->fd, piece, sizeof piece);
    }
    return NULL;
}

static void a_descriptor_takes_all_bytes_in_pieces_and_through_signals(void **state)
{
    (void)state;
    enum { SIZE = 160 << 10 }; /* more than a pipe holds */
    static char bytes[SIZE];
    int ends[2];
    pthread_t thread;
    struct sigaction before, quiet = { .sa_handler = nothing };
    sigaction(SIGUSR1, &quiet, &before);
    assert_int_equal(pipe(ends), 0);
    struct pipe_reader r = { ends[0], 0, pthread_self() };
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &r), 0);
    int code = fd_write(ends[1], bytes, SIZE);
    close(ends[1]);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(code, 0);
    assert_int_equal(r.count, SIZE);
    assert_int_equal(fd_write(ends[0], bytes, 1), -1);
    assert_int_equal(errno, EBADF);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_of_a_new_directory_and_its_parents_are_synced),
        cmocka_unit_test(write_makes_parents_and_replaces),
        cmocka_unit_test(move_makes_parents_and_replaces_files_alone),
        cmocka_unit_test(create_refuses_what_exists),
        cmocka_unit_test(create_gives_the_exact_mode_whatever_the_umask),
        cmocka_unit_test(no_path_leads_out_of_the_root),
        cmocka_unit_test(read_takes_regular_files_within_the_limit),
        cmocka_unit_test(files_whose_size_lies_are_read_to_their_end),
        cmocka_unit_test(list_is_sorted_bounded_and_does_not_follow),
        cmocka_unit_test(anything_can_be_deleted),
        cmocka_unit_test(remove_takes_files_and_links_only),
        cmocka_unit_test(a_second_lock_names_the_holder),
        cmocka_unit_test(a_lock_ends_with_its_process),
        cmocka_unit_test(dir_open_makes_private_directories),
        cmocka_unit_test(a_link_planted_meanwhile_leads_nowhere),
        cmocka_unit_test(a_descriptor_takes_all_bytes_in_pieces_and_through_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
