/* Slow clients, too many of them, deadlines, and the end of the server. */
#include "server_fixture.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct http_limits short_times = {
    .connections = 256, .connections_per_address = 256, .workers = 4, .waiting = 2, .request_line = 8192, .head = 16384,
    .headers = 100, .bodies = 150000, .stream_buffer = 4096, .head_ms = 150, .idle_ms = 150, .rate_grace_ms = 200,
    .rate = 8 << 20, .stall_ms = 150,
};

static int set_up_short(void **state)
{
    *state = server_fixture_new(&short_times);
    return 0;
}

static struct http_counters counters(const struct server_fixture *f)
{
    struct http_counters c;
    http_server_count(f->server, &c);
    return c;
}

/* ---- slow clients ---- */

/* Sends a byte now and then until the server has enough; returns what it says. */
static int drip(int fd, const char *bytes)
{
    ANSWER_LOCAL(a);
    char one[1];
    for (size_t i = 0; recv(fd, one, 1, MSG_PEEK | MSG_DONTWAIT) < 0; i++) {
        assert_true(i < 2000);
        client_send(fd, &bytes[i % strlen(bytes)], 1);
        usleep(10000);
    }
    client_read(fd, &a, false);
    close(fd);
    return a.status;
}

static void a_head_that_drips_is_cut_off(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /hello HTTP/1.1\r\nHost: x\r\nA: ");
    assert_int_equal(drip(fd, "a"), 408);
    assert_int_equal(drip(client_unix(f), "A"), 408);
    assert_int_equal(counters(f).timed_out, 2);
}

static int drip_second(struct server_fixture *f, const char *begin, const char *bytes)
{
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    client_send(fd, begin, strlen(begin));
    return drip(fd, bytes);
}

static void a_second_head_that_drips_is_cut_off_too(void **state)
{
    struct server_fixture *f = *state;
    assert_int_equal(drip_second(f, "GET /hello HTTP/1.1\r\nHost: x\r\nA: ", "a"), 408);
    drip_second(f, "", "G"); /* a request line without end: closed without a word */
}

static int set_up_patient(void **state)
{
    struct http_limits limits = short_times;
    limits.idle_ms = 600000;
    limits.stream_buffer = 16 << 20;
    *state = server_fixture_new(&limits);
    return 0;
}

static void a_second_head_has_no_more_time_than_the_first(void **state)
{
    assert_int_equal(drip_second(*state, "GET /hello HTTP/1.1\r\nHost: x\r\nA: ", "a"), 408);
}

static void a_body_that_drips_is_cut_off(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n");
    assert_int_equal(drip(fd, "a"), 408);
    fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(drip(fd, "1\r\na\r\n"), 408);
}

static void silence_before_and_between_requests_is_bounded(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 408);
    close(fd);
    fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    assert_true(client_sees_end(fd));
    close(fd);
    assert_int_equal(counters(f).timed_out, 1);
}

static void an_answer_that_nobody_reads_is_given_up(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    CLIENT_SEND(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&f->stage.accesses, 1); /* the buffers of the system hold less than 8 MiB */
    assert_false(f->stage.last.complete);
    assert_int_equal(counters(f).timed_out, 1);
    close(fd);
}

static void the_rest_of_a_stream_that_nobody_reads_is_given_up(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    CLIENT_SEND(fd, "GET /large-stream HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&f->stage.accesses, 1); /* its handler has returned long since */
    assert_false(f->stage.last.complete);
    assert_int_equal(counters(f).timed_out, 1);
    close(fd);
}

static void a_stream_that_nobody_reads_is_given_up(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&f->stage.cancelled, 1);
    assert_int_equal(f->stage.reason, ERR_TIMEOUT);
    assert_true(client_sees_end(fd));
    close(fd);
}

/* ---- deadlines of routes ---- */

static void a_handler_that_passes_its_deadline_is_told_and_the_client_too(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 504);
    assert_non_null(strstr(a.body.data, "\"code\":\"timeout\""));
    assert_int_equal(f->stage.reason, HTTP_DEADLINE);
    client_ask(f, "GET /silent-short HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    assert_false(a.whole);
}

static void a_handler_that_does_not_heed_its_deadline_is_answered_for(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /ignore HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 504);
    f->stage.go = true; /* and its own answer goes nowhere */
}

/* ---- too many ---- */

static void what_neither_workers_nor_queue_can_hold_is_turned_away(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fds[6];
    for (int i = 0; i < 6; i++) { /* 4 workers, 2 places in the queue */
        fds[i] = client_tcp(f);
        CLIENT_SEND(fds[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for(&f->stage.waiting, i < 4 ? i + 1 : 4);
    }
    int64_t until = clock_steady_ms() + 5000;
    while (counters(f).waiting < 2 && clock_steady_ms() < until)
        usleep(1000);
    assert_int_equal(counters(f).running, 4);
    client_ask(f, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head, "Retry-After: 1\n"));
    assert_int_equal(counters(f).turned_away, 1);
    client_ask(f, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    f->stage.go = true;
    for (int i = 0; i < 6; i++) {
        client_read(fds[i], &a, false);
        assert_string_equal(a.body.data, "waited");
        close(fds[i]);
    }
}

static void a_client_that_leaves_the_queue_cancels_its_handler_before_it_begins(void **state)
{
    struct server_fixture *f = *state;
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = client_tcp(f);
        CLIENT_SEND(fds[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for(&f->stage.waiting, i < 4 ? i + 1 : 4);
    }
    int64_t until = clock_steady_ms() + 5000;
    while (counters(f).waiting < 2 && clock_steady_ms() < until)
        usleep(1000);
    close(fds[4]);
    close(fds[5]);
    usleep(50000);
    f->stage.go = true;
    wait_for(&f->stage.accesses, 6);
    assert_int_equal(f->stage.cancelled, 2);
    assert_int_equal(f->stage.reason, HTTP_CLIENT_LEFT);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static void bodies_together_have_a_limit(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    usleep(50000);
    client_ask(f, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", &a);
    assert_int_equal(a.status, 503);
    close(fd);
    for (int i = 0; i < 100 && a.status == 503; i++) { /* until the first one's going is seen */
        usleep(20000);
        client_ask(f, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", &a);
    }
    assert_int_equal(a.status, 200);
}

static int set_up_few(void **state)
{
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    limits.connections = 6;
    limits.connections_per_address = 3;
    *state = server_fixture_new(&limits);
    return 0;
}

static void connections_are_counted_together_and_for_each_address(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = i < 3 ? client_tcp(f) : client_unix(f);
        if (i == 2) { /* the fourth of the address */
            client_ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", &a);
            int64_t until = clock_steady_ms() + 5000;
            while (counters(f).open_connections < 3 && clock_steady_ms() < until)
                usleep(1000);
            int fd = client_tcp(f);
            client_read(fd, &a, false);
            assert_int_equal(a.status, 503);
            assert_non_null(strstr(a.head, "Retry-After: 1\n"));
            close(fd);
        }
    }
    int fd = client_unix(f); /* the seventh */
    client_read(fd, &a, false);
    assert_int_equal(a.status, 503);
    close(fd);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    int64_t until = clock_steady_ms() + 5000;
    while (counters(f).open_connections && clock_steady_ms() < until)
        usleep(1000);
    client_ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
}

static void a_process_without_free_descriptors_accepts_when_it_has_some_again(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    none = before;
    none.rlim_cur = 3; /* what is open stays open */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int connected = connect(fd, (struct sockaddr *)&address, sizeof address);
    CLIENT_SEND(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    usleep(200000);
    size_t open = counters(f).open_connections;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(connected, 0);
    assert_int_equal(open, 0);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    close(fd);
}

/* The soft limit that is there when a server of 256 connections and 64 workers has been started with this one. */
static rlim_t limit_after_start(rlim_t soft, rlim_t hard)
{
    static const struct http_table table = { 0 };
    struct http_options options = { .tables = &table, .table_count = 1 };
    struct rlimit l = { soft, hard };
    struct http_server *s;
    struct err e;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
    check_ok(http_server_new(&options, &s, &e), &e);
    check_ok(http_server_start(s, &e), &e);
    http_server_free(s);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
    return l.rlim_cur;
}

static void clients_do_not_take_the_descriptors_of_others(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < 1000)
        skip();
    rlim_t few = limit_after_start(300, before.rlim_max), many = limit_after_start(1000, before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(few, 256 + 64 + 256);
    assert_int_equal(many, 1000);
}

static void clients_with_ipv6_are_served_and_counted_too(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    limits.connections_per_address = 1;
    struct http_options options = { .tables = f->tables, .table_count = 2, .limits = &limits };
    struct http_server *s;
    int port;
    check_ok(http_server_new(&options, &s, &f->err), &f->err);
    if (http_server_listen_tcp(s, "::1", 0, &port, &f->err) < 0) {
        http_server_free(s);
        skip(); /* a machine without IPv6 */
    }
    check_ok(http_server_start(s, &f->err), &f->err);
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback };
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        CLIENT_SEND(fds[i], "GET /show HTTP/1.1\r\nHost: [::1]\r\n\r\n");
        client_read(fds[i], &a, false);
        assert_int_equal(a.status, i ? 503 : 200);
        assert_true(i || strstr(a.body.data, "\"address\":\"::1\""));
    }
    close(fds[0]);
    close(fds[1]);
    http_server_free(s);
}

/* ---- the end ---- */

struct ending {
    struct server_fixture *f;
    int64_t grace_ms;
    atomic_bool over;
};

static void *stop(void *ctx)
{
    struct ending *e = ctx;
    http_server_stop(e->f->server, e->grace_ms);
    e->over = true;
    return NULL;
}

static void what_runs_is_finished_within_the_grace_and_nothing_new_begins(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int idle = client_tcp(f), fd = client_tcp(f), busy = client_unix(f);
    CLIENT_SEND(idle, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(idle, &a, false);
    CLIENT_SEND(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    CLIENT_SEND(busy, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&f->stage.waiting, 2);
    struct ending end = { f, 10000, false };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop, &end), 0);
    assert_true(client_sees_end(idle));
    while (access(f->socket, F_OK) == 0)
        usleep(1000);
    assert_false(end.over);
    f->stage.go = true;
    client_read(fd, &a, false);
    assert_string_equal(a.body.data, "waited");
    assert_non_null(strstr(a.head, "Connection: close\n"));
    client_read(busy, &a, false);
    assert_string_equal(a.body.data, "waited");
    client_read(busy, &a, false);
    assert_int_equal(a.status, 0);
    pthread_join(thread, NULL);
    close(idle);
    close(fd);
    close(busy);
}

static void what_runs_longer_than_the_grace_is_cancelled(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fds[3];
    static const char *const paths[] = { "/wait", "/silent", "/ignore" };
    for (int i = 0; i < 3; i++) {
        STR_LOCAL(request);
        str_addf(&request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);
        fds[i] = client_tcp(f);
        client_send(fds[i], request.data, request.len);
        wait_for(&f->stage.waiting, i + 1);
    }
    struct ending end = { f, 20, false };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop, &end), 0);
    client_read(fds[0], &a, false);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body.data, "being stopped"));
    client_read(fds[1], &a, false);
    assert_int_equal(a.status, 200);
    assert_false(a.whole);
    client_read(fds[2], &a, false); /* answered for: /ignore still runs */
    assert_true(a.status == 503 || a.status == 504);
    assert_false(end.over);
    f->stage.go = true;
    pthread_join(thread, NULL);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

struct load {
    struct server_fixture *f;
    atomic_bool over;
    atomic_int answers;
};

static void *ask_on(void *ctx)
{
    struct load *l = ctx;
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", "GET /stream?n=20&pause=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    while (!l->over) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->f->port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            for (size_t i = 0; i < 5 && !l->over; i++) {
                char bytes[4096];
                client_send(fd, requests[i], strlen(requests[i]));
                if (recv(fd, bytes, sizeof bytes, 0) <= 0)
                    break;
                l->answers++;
            }
        close(fd);
    }
    return NULL;
}

static void a_server_under_load_stops_and_another_takes_its_place(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct load load = { .f = server_fixture_new(NULL) };
        pthread_t threads[8];
        for (int i = 0; i < 8; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &load), 0);
        wait_for(&load.answers, 200);
        http_server_stop(load.f->server, round * 20);
        load.over = true;
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(counters(load.f).open_connections, 0);
        server_fixture_free(load.f);
    }
}

/* ---- what cannot be started ---- */

static int nothing(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)x;
    (void)ctx;
    (void)e;
    return 0;
}

static void check_rows(const struct http_route *rows, size_t count, const char *words)
{
    struct err e;
    struct http_server *s = NULL;
    struct http_table table = { .routes = rows, .route_count = count };
    struct http_options options = { .tables = &table, .table_count = 1 };
    check_err(http_server_new(&options, &s, &e), ERR_INVALID, &e, words);
    assert_null(s);
}

static void tables_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    check_rows((struct http_route[]){ { "get", "/a", nothing, .doc = "" } }, 1, "route 0 of table 0 (get /a)");
    check_rows((struct http_route[]){ { "GET", "a", nothing, .doc = "" } }, 1, "(GET a)");
    check_rows((struct http_route[]){ { "GET", "/{a...}/b", nothing, .doc = "" } }, 1, "/{a...}/b");
    check_rows((struct http_route[]){ { "GET", "/a", NULL, .doc = "" } }, 1, "(GET /a)");
    check_rows((struct http_route[]){ { "GET", "/a", nothing, .doc = NULL } }, 1, "(GET /a)");
    check_rows((struct http_route[]){ { "GET", "/a", nothing, .doc = "" }, { "GET", "/a", nothing, .doc = "" } }, 2,
               "two routes for GET /a");
    struct err e;
    struct http_server *s;
    struct http_options none = { 0 };
    check_err(http_server_new(&none, &s, &e), ERR_INVALID, &e, "without a table");
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, server_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_that_drips_is_cut_off, set_up_short),
        TEST(a_second_head_that_drips_is_cut_off_too, set_up_short),
        TEST(a_second_head_has_no_more_time_than_the_first, set_up_patient),
        TEST(a_body_that_drips_is_cut_off, set_up_short),
        TEST(silence_before_and_between_requests_is_bounded, set_up_short),
        TEST(an_answer_that_nobody_reads_is_given_up, set_up_short),
        TEST(the_rest_of_a_stream_that_nobody_reads_is_given_up, set_up_patient),
        TEST(a_stream_that_nobody_reads_is_given_up, set_up_short),
        TEST(a_handler_that_passes_its_deadline_is_told_and_the_client_too, set_up_short),
        TEST(a_handler_that_does_not_heed_its_deadline_is_answered_for, set_up_short),
        TEST(what_neither_workers_nor_queue_can_hold_is_turned_away, set_up_short),
        TEST(a_client_that_leaves_the_queue_cancels_its_handler_before_it_begins, set_up_short),
        TEST(bodies_together_have_a_limit, set_up_short),
        TEST(connections_are_counted_together_and_for_each_address, set_up_few),
        TEST(a_process_without_free_descriptors_accepts_when_it_has_some_again, server_set_up),
        cmocka_unit_test(clients_do_not_take_the_descriptors_of_others),
        TEST(clients_with_ipv6_are_served_and_counted_too, server_set_up),
        TEST(what_runs_is_finished_within_the_grace_and_nothing_new_begins, server_set_up),
        TEST(what_runs_longer_than_the_grace_is_cancelled, server_set_up),
        cmocka_unit_test(a_server_under_load_stops_and_another_takes_its_place),
        cmocka_unit_test(tables_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
