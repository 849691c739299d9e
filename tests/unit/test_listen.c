/* Sockets to listen on: taken, dead, too long, and whose they are. */
#include "check.h"
#include "tmpdir.h"

#include "base/str.h"
#include "http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct tmpdir dir;
    struct str path;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = tmpdir_make();
    str_init(&f->path);
    str_addf(&f->path, "%s/socket", f->dir.path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->dir);
    str_release(&f->path);
    free(f);
    return 0;
}

static bool answers(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return good;
}

static void a_port_that_is_taken_is_said_to_be(void **state)
{
    struct fixture *f = *state;
    struct listener first, second;
    check_ok(listen_tcp(&first, "127.0.0.1", 0, &f->err), &f->err);
    assert_true(first.port > 0);
    check_err(listen_tcp(&second, "127.0.0.1", first.port, &f->err), ERR_BUSY, &f->err, "is taken");
    listener_close(&first);
}

static void an_address_that_is_not_ours_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    check_err(listen_tcp(&l, "192.0.2.1", 0, &f->err), ERR_FAILED, &f->err, "cannot listen on 192.0.2.1:0");
    check_err(listen_tcp(&l, "no such host", 0, &f->err), ERR_INVALID, &f->err, "no such host:0");
    check_err(listen_tcp(&l, "127.0.0.1", 65536, &f->err), ERR_INVALID, &f->err, "127.0.0.1:65536");
}

static void a_unix_socket_is_its_owners_alone_and_goes_with_the_listener(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    struct stat st;
    mode_t before = umask(0);
    check_ok(listen_unix(&l, f->path.data, &f->err), &f->err);
    umask(before);
    assert_int_equal(stat(f->path.data, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(answers(f->path.data));
    listener_close(&l);
    assert_int_equal(access(f->path.data, F_OK), -1);
}

static void a_living_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct listener first, second;
    check_ok(listen_unix(&first, f->path.data, &f->err), &f->err);
    check_err(listen_unix(&second, f->path.data, &f->err), ERR_BUSY, &f->err, "another process listens on");
    assert_true(answers(f->path.data));
    listener_close(&first);
}

static void a_living_socket_with_a_full_queue_is_left_alone_too(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, f->path.data, f->path.len + 1);
    int busy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[3];
    assert_int_equal(bind(busy, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(busy, 0), 0);
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(clients[i], (struct sockaddr *)&address, sizeof address);
    }
    check_err(listen_unix(&l, f->path.data, &f->err), ERR_BUSY, &f->err, "another process listens on");
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    close(busy);
}

static void the_socket_of_a_dead_process_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    pid_t child = fork();
    if (child == 0)
        _exit(listen_unix(&l, f->path.data, NULL) == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(access(f->path.data, F_OK), 0);
    check_ok(listen_unix(&l, f->path.data, &f->err), &f->err);
    assert_true(answers(f->path.data));
    listener_close(&l);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    check_ok(file_create(f->dir.fd, "socket", "mine", 4, 0600, &f->err), &f->err);
    check_err(listen_unix(&l, f->path.data, &f->err), ERR_EXISTS, &f->err, "is no socket");
    assert_int_equal(unlinkat(f->dir.fd, "socket", 0), 0);
    assert_int_equal(symlinkat("elsewhere", f->dir.fd, "socket"), 0);
    check_err(listen_unix(&l, f->path.data, &f->err), ERR_EXISTS, &f->err, "is no socket");
}

static void a_socket_that_another_has_replaced_is_not_removed(void **state)
{
    struct fixture *f = *state;
    struct listener first, second;
    check_ok(listen_unix(&first, f->path.data, &f->err), &f->err);
    assert_int_equal(unlink(f->path.data), 0);
    check_ok(listen_unix(&second, f->path.data, &f->err), &f->err);
    listener_close(&first);
    assert_true(answers(f->path.data));
    listener_close(&second);
}

static void a_path_has_at_most_107_bytes(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    STR_LOCAL(path);
    str_addf(&path, "%s/", f->dir.path);
    while (path.len < 107)
        str_add_char(&path, 'x');
    check_ok(listen_unix(&l, path.data, &f->err), &f->err);
    assert_true(answers(path.data));
    listener_close(&l);
    str_add_char(&path, 'x');
    check_err(listen_unix(&l, path.data, &f->err), ERR_INVALID, &f->err, "has 1 to 107 bytes, this one has 108");
    check_err(listen_unix(&l, "", &f->err), ERR_INVALID, &f->err, "1 to 107 bytes");
    check_err(listen_unix(&l, "/nowhere/at/all", &f->err), ERR_FAILED, &f->err, "directory /nowhere/at: No such file");
}

static void two_that_begin_at_once_do_not_lose_a_socket(void **state)
{
    struct fixture *f = *state;
    struct listener l;
    int lock = open(f->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    pid_t child = fork();
    if (child == 0) {
        usleep(100000);
        _exit(0); /* and the lock's copy with it */
    }
    close(lock);
    check_ok(listen_unix(&l, f->path.data, &f->err), &f->err); /* waits */
    listener_close(&l);
    waitpid(child, NULL, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_port_that_is_taken_is_said_to_be),
        TEST(an_address_that_is_not_ours_is_an_error),
        TEST(a_unix_socket_is_its_owners_alone_and_goes_with_the_listener),
        TEST(a_living_socket_is_left_alone),
        TEST(a_living_socket_with_a_full_queue_is_left_alone_too),
        TEST(the_socket_of_a_dead_process_is_replaced),
        TEST(what_is_no_socket_is_left_alone),
        TEST(a_socket_that_another_has_replaced_is_not_removed),
        TEST(a_path_has_at_most_107_bytes),
        TEST(two_that_begin_at_once_do_not_lose_a_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
