/* Requests, answers and streams, over real sockets. */
#include "server_fixture.h"

#include "base/clock.h"

#include <sys/socket.h>
#include <unistd.h>

static bool has_header(const struct answer *a, const char *line)
{
    return strstr(a->head, line) != NULL;
}

#define CONTAINS(body, words)                                                      \
    do {                                                                           \
        if (!strstr((body).data, (words)))                                         \
            fail_msg("\"%s\" does not say \"%s\"", (body).data, (words));          \
    } while (0)

/* ---- routes ---- */

static void a_route_answers_over_tcp_and_over_the_unix_socket(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fds[] = { client_tcp(f), client_unix(f) };
    for (int i = 0; i < 2; i++) {
        CLIENT_SEND(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        client_read(fds[i], &a, false);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body.data, "hello");
        assert_true(has_header(&a, "Content-Type: text/plain\n") && has_header(&a, "X-Content-Type-Options: nosniff\n"));
        close(fds[i]);
    }
}

static void parameters_come_decoded_from_path_query_and_header(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /show/a%2fb/of/c/d%20e?q=%C3%A4+1&r&q=2 HTTP/1.1\r\nHost: x\r\nX-TEST:  v w \r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    CONTAINS(a.body, "\"id\":\"a/b\"");
    CONTAINS(a.body, "\"rest\":\"c/d e\"");
    CONTAINS(a.body, "\"q\":\"ä 1\"");
    CONTAINS(a.body, "\"r\":\"\"");
    CONTAINS(a.body, "\"header\":\"v w\"");
    CONTAINS(a.body, "\"address\":\"127.0.0.1\"");
    CONTAINS(a.body, "\"local\":false");
}

static void a_peer_on_the_unix_socket_is_known(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_unix(f);
    CLIENT_SEND(fd, "GET /show HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &a, false);
    close(fd);
    char expected[64];
    snprintf(expected, sizeof expected, "\"pid\":%d,\"uid\":%u", (int)getpid(), (unsigned)getuid());
    CONTAINS(a.body, "\"local\":true");
    CONTAINS(a.body, expected);
}

static void headers_of_an_answer_are_sent_but_forged_ones(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /show HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_true(has_header(&a, "X-Shown: yes\n"));
    assert_false(has_header(&a, "X-Evil"));
}

static void unknown_paths_and_methods_are_told_apart(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 404);
    assert_false(has_header(&a, "Connection: close"));
    CONTAINS(a.body, "{\"error\":{\"code\":\"not-found\",");
    client_ask(f, "DELETE /wait HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 405);
    assert_true(has_header(&a, "Allow: GET, HEAD, POST, OPTIONS\n"));
    client_ask(f, "OPTIONS /hello HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 204);
    assert_true(has_header(&a, "Allow: GET, HEAD, OPTIONS\n"));
    client_ask(f, "GET /show/ HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 404);
}

static void head_is_answered_as_get_without_the_body(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    for (int i = 0; i < 2; i++) {
        CLIENT_SEND(fd, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        client_read(fd, &a, true);
        assert_int_equal(a.status, 200);
        assert_true(has_header(&a, "Content-Length: 5\n"));
    }
    CLIENT_SEND(fd, "HEAD /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &a, true);
    assert_int_equal(a.status, 200);
    wait_for(&f->stage.cancelled, 1); /* nobody reads what it writes */
    close(fd);
}

/* ---- permission and size ---- */

static void permission_is_asked_before_the_body_is_sent(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /secret HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
    client_read(fd, &a, false);
    assert_int_equal(a.status, 401);
    assert_true(has_header(&a, "WWW-Authenticate: Bearer\n"));
    CONTAINS(a.body, "a key is needed");
    assert_true(client_sees_end(fd));
    close(fd);
    client_ask(f, "POST /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bad\r\nContent-Length: 0\r\n\r\n", &a);
    assert_int_equal(a.status, 403);
    client_ask(f, "POST /secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: 0\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(f->stage.asked, 3);
    client_ask(f, "GET /page/nobody HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 403);
}

static void a_client_that_expects_it_is_told_to_continue(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    char line[25] = "";
    assert_int_equal(recv(fd, line, 25, MSG_WAITALL), 25);
    assert_memory_equal(line, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    CLIENT_SEND(fd, "abc");
    client_read(fd, &a, false);
    assert_string_equal(a.body.data, "abc");
    close(fd);
}

static void a_body_too_large_is_refused_even_to_a_client_that_goes_on_sending(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    char *body = calloc(1, 3000000);
    memset(body, 'x', 3000000);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n");
    for (int i = 0; i < 10; i++)
        assert_true(client_send(fd, body, 3000000)); /* else many clients would never look for an answer */
    client_read(fd, &a, false);
    assert_int_equal(a.status, 413);
    CONTAINS(a.body, "100000 bytes");
    assert_true(client_sees_end(fd));
    close(fd);
    free(body);
    client_ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", &a);
    assert_int_equal(a.status, 413);
}

static void send_chunks(int fd, size_t count, size_t len)
{
    char size[32], *chunk = calloc(1, len + 2);
    memset(chunk, 'x', len);
    memcpy(chunk + len, "\r\n", 2);
    int n = snprintf(size, sizeof size, "%zx\r\n", len);
    for (size_t i = 0; i < count; i++) {
        client_send(fd, size, (size_t)n);
        client_send(fd, chunk, len + 2);
    }
    free(chunk);
}

static void a_body_in_chunks_is_joined_and_the_connection_closed_after_it(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 100, 1000);
    CLIENT_SEND(fd, "0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 100000);
    assert_true(has_header(&a, "Connection: close\n"));
    client_read(fd, &a, false);
    assert_int_equal(a.status, 0);
    close(fd);
}

static void chunks_that_are_too_many_are_refused(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 101, 1000);
    CLIENT_SEND(fd, "0\r\n\r\n");
    client_read(fd, &a, false);
    assert_int_equal(a.status, 413);
    close(fd);
    /* Without end. */
    fd = client_tcp(f);
    CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 1200, 1000);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 413);
    assert_true(client_sees_end(fd));
    close(fd);
}

/* ---- errors ---- */

static void errors_of_handlers_become_answers(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /fail?what=missing HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 404);
    assert_string_equal(a.body.data, "{\"error\":{\"code\":\"not-found\",\"message\":\"no model is called \\\"x\\\"\","
                                     "\"type\":\"not_found_error\"}}");
    client_ask(f, "GET /fail?what=busy HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 429);
    assert_true(has_header(&a, "Retry-After: 1\n"));
    client_ask(f, "GET /fail?what=nothing HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 500);
    client_ask(f, "GET /fail?what=own HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 400);
    CONTAINS(a.body, "\"code\":\"context_length_exceeded\",\"message\":\"too long by 3\"");
    client_ask(f, "GET /page/fail?what=missing HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_string_equal(a.body.data, "no model is called \"x\"\n");
}

static void paths_and_queries_that_are_no_text_are_refused(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    const char *const bad[] = { "/show/%00", "/show/%ff", "/show/%zz", "/show/..", "/show/%2e%2e", "/show/a%2f..%2fb",
                                "/show?q=%0a", "/show?q=%c3", "//show", "/show/a%5c.." };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        STR_LOCAL(request);
        str_addf(&request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", bad[i]);
        client_ask(f, request.data, &a);
        if (a.status != 400)
            fail_msg("%s gave %d", bad[i], a.status);
        CONTAINS(a.body, "the path or query cannot be read");
    }
}

/* ---- connections ---- */

static void a_connection_is_kept_and_pipelined_requests_are_answered_in_order(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"
                    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecond"
                    "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                    "GET /stream?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
                    "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const char *const expected[] = { "hello", "first", "second", "{", "data: event 0\n\n", "hello" };
    for (size_t i = 0; i < 6; i++) {
        client_read(fd, &a, false);
        assert_int_equal(a.status, i == 3 ? 404 : 200);
        assert_memory_equal(a.body.data, expected[i], strlen(expected[i]));
    }
    assert_true(client_sees_end(fd));
    close(fd);
    struct http_counters c;
    http_server_count(f->server, &c);
    assert_int_equal(c.connections, 1);
    assert_int_equal(c.refused, 0);
}

static void a_request_that_comes_byte_by_byte_is_one(void **state)
{
    struct server_fixture *f = *state;
    static const char request[] = "POST /echo?a=b HTTP/1.1\r\nHost: x\r\nA: b\r\nContent-Length: 3\r\n\r\nabc";
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        client_send(fd, request + i, 1);
        usleep(200);
    }
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body.data, "abc");
    close(fd);
}

static void an_old_client_gets_its_answer_and_the_end(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /stream HTTP/1.0\r\n\r\n");
    client_read(fd, &a, false);
    assert_string_equal(a.body.data, "data: event 0\n\ndata: event 1\n\ndata: event 2\n\n");
    close(fd);
}

static void a_large_answer_arrives_whole(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_true(a.whole);
    assert_int_equal(a.body.len, 8 << 20);
}

/* ---- streams ---- */

static void a_stream_arrives_in_pieces_and_ends(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    for (int i = 0; i < 2; i++) {
        CLIENT_SEND(fd, "GET /stream?n=500&pause=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        client_read(fd, &a, false);
        assert_true(a.whole);
        CONTAINS(a.body, "data: event 499\n\n");
    }
    close(fd);
}

static void an_event_leaves_at_once_and_keeps_its_lines(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n");
    STR_LOCAL(seen);
    while (!strstr(seen.data, "event: first\ndata: a\ndata: b\n\n")) { /* the handler still waits */
        char bytes[4096];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        assert_true(n > 0);
        str_add_bytes(&seen, bytes, (size_t)n);
    }
    close(fd);
    wait_for(&f->stage.cancelled, 1);
}

static void a_stream_that_its_handler_leaves_is_seen_to_be_broken(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "GET /stream?then=break HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    CONTAINS(a.body, "data: event 2\n\n");
    assert_false(a.whole);
}

static void a_slow_reader_holds_the_writer_back(void **state)
{
    struct server_fixture *f = *state;
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t before, after = 0;
    do { /* until the buffers of the system are full */
        before = after;
        usleep(100000);
        after = f->stage.written;
    } while (after != before || !after);
    assert_true(after < 64 << 20);
    char *bytes = malloc(1 << 20);
    assert_int_equal(recv(fd, bytes, 1 << 20, MSG_WAITALL), 1 << 20);
    int64_t until = clock_steady_ms() + 10000;
    while (f->stage.written == after && clock_steady_ms() < until)
        usleep(1000);
    assert_true(f->stage.written > after);
    free(bytes);
    close(fd);
    wait_for(&f->stage.cancelled, 1);
}

struct streams {
    const struct server_fixture *f;
    atomic_int good;
};

static void *read_stream(void *ctx)
{
    struct streams *s = ctx;
    ANSWER_LOCAL(a);
    client_ask(s->f, "GET /stream?n=50&pause=2 HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    STR_LOCAL(expected);
    for (int i = 0; i < 50; i++)
        str_addf(&expected, "data: event %d\n\n", i);
    s->good += a.whole && streq(a.body.data, expected.data);
    return NULL;
}

static void many_streams_run_beside_each_other(void **state)
{
    struct streams s = { .f = *state };
    pthread_t threads[40];
    for (int i = 0; i < 40; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_stream, &s), 0);
    for (int i = 0; i < 40; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(s.good, 40);
}

/* ---- clients that leave ---- */

static void leave(struct server_fixture *f, const char *path, bool local, int how)
{
    int before = f->stage.cancelled;
    int fd = local ? client_unix(f) : client_tcp(f);
    STR_LOCAL(request);
    str_addf(&request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    int waiting = f->stage.waiting;
    client_send(fd, request.data, request.len);
    wait_for(&f->stage.waiting, waiting + 1);
    if (how >= 0)
        shutdown(fd, how);
    else
        close(fd);
    wait_for(&f->stage.cancelled, before + 1);
    assert_int_equal(f->stage.reason, HTTP_CLIENT_LEFT);
    if (how >= 0)
        close(fd);
}

static void a_client_that_leaves_while_its_handler_thinks_cancels_it(void **state)
{
    for (int local = 0; local < 2; local++) {
        leave(*state, "/wait", local, -1);
        leave(*state, "/silent", local, -1);
        leave(*state, "/wait", local, SHUT_WR);
        leave(*state, "/silent", local, SHUT_WR);
    }
}

static void a_writer_is_told_when_its_reader_has_left(void **state)
{
    struct server_fixture *f = *state;
    for (int local = 0; local < 2; local++) {
        int fd = local ? client_unix(f) : client_tcp(f);
        CLIENT_SEND(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for(&f->stage.waiting, local + 1);
        usleep(20000);
        close(fd);
        wait_for(&f->stage.cancelled, local + 1);
        assert_int_equal(f->stage.reason, ERR_CANCELLED);
    }
    struct http_counters c;
    wait_for(&f->stage.accesses, 2);
    http_server_count(f->server, &c);
    assert_int_equal(c.broken, 2);
}

static void a_writer_is_told_when_its_reader_only_reads_any_more(void **state)
{
    struct server_fixture *f = *state;
    char bytes[65536];
    int fd = client_tcp(f);
    CLIENT_SEND(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&f->stage.waiting, 1);
    shutdown(fd, SHUT_WR);
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        ;
    wait_for(&f->stage.cancelled, 1);
    assert_int_equal(f->stage.reason, ERR_CANCELLED);
    close(fd);
}

static void a_stream_begun_for_a_client_that_has_gone_is_thrown_away(void **state)
{
    struct server_fixture *f = *state;
    for (int i = 0; i < 6; i++) {
        int fd = i % 2 ? client_unix(f) : client_tcp(f);
        CLIENT_SEND(fd, "GET /begin-late HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for(&f->stage.waiting, i + 1);
        struct linger reset = { .l_onoff = i < 4 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        wait_for(&f->stage.cancelled, i + 1);
    }
    wait_for(&f->stage.accesses, 6);
}

static void a_client_that_only_ends_its_sending_gets_a_whole_answer_all_the_same(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    for (int i = 0; i < 20; i++) {
        int fd = client_tcp(f);
        CLIENT_SEND(fd, "GET /ignore HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for(&f->stage.waiting, i + 1);
        shutdown(fd, SHUT_WR);
        f->stage.go = true;
        client_read(fd, &a, false);
        assert_string_equal(a.body.data, "late");
        close(fd);
    }
    static const char *const requests[] = { "GET /hello", "GET /nothing", "GET /hello", "POST /hello" };
    for (int i = 0; i < 400; i++) { /* together with the request */
        STR_LOCAL(request);
        str_addf(&request, "%s HTTP/1.1\r\nHost: x\r\n\r\n", requests[i % 4]);
        int fd = i % 8 < 4 ? client_tcp(f) : client_unix(f);
        client_send(fd, request.data, request.len);
        shutdown(fd, SHUT_WR);
        client_read(fd, &a, false);
        assert_int_equal(a.status, i % 4 == 1 ? 404 : i % 4 == 3 ? 405 : 200);
        close(fd);
    }
}

/* ---- what is told ---- */

static void each_request_is_reported(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    client_ask(f, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", &a);
    wait_for(&f->stage.accesses, 1);
    assert_int_equal(f->stage.last.status, 200);
    assert_int_equal(f->stage.last.body_bytes, 3);
    assert_int_equal(f->stage.last.answer_bytes, 3);
    assert_string_equal(f->stage.last.route->pattern, "/echo");
    assert_true(f->stage.last.complete && f->stage.last.total_us >= f->stage.last.handler_us);
    client_ask(f, "GET /stream?n=2 HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    wait_for(&f->stage.accesses, 2);
    assert_int_equal(f->stage.last.answer_bytes, 30);
    struct http_counters c;
    http_server_count(f->server, &c);
    assert_int_equal(c.requests, 2);
    assert_int_equal(c.connections, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_set_up, server_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_route_answers_over_tcp_and_over_the_unix_socket),
        TEST(parameters_come_decoded_from_path_query_and_header),
        TEST(a_peer_on_the_unix_socket_is_known),
        TEST(headers_of_an_answer_are_sent_but_forged_ones),
        TEST(unknown_paths_and_methods_are_told_apart),
        TEST(head_is_answered_as_get_without_the_body),
        TEST(permission_is_asked_before_the_body_is_sent),
        TEST(a_client_that_expects_it_is_told_to_continue),
        TEST(a_body_too_large_is_refused_even_to_a_client_that_goes_on_sending),
        TEST(a_body_in_chunks_is_joined_and_the_connection_closed_after_it),
        TEST(chunks_that_are_too_many_are_refused),
        TEST(errors_of_handlers_become_answers),
        TEST(paths_and_queries_that_are_no_text_are_refused),
        TEST(a_connection_is_kept_and_pipelined_requests_are_answered_in_order),
        TEST(a_request_that_comes_byte_by_byte_is_one),
        TEST(an_old_client_gets_its_answer_and_the_end),
        TEST(a_large_answer_arrives_whole),
        TEST(a_stream_arrives_in_pieces_and_ends),
        TEST(an_event_leaves_at_once_and_keeps_its_lines),
        TEST(a_stream_that_its_handler_leaves_is_seen_to_be_broken),
        TEST(a_slow_reader_holds_the_writer_back),
        TEST(many_streams_run_beside_each_other),
        TEST(a_client_that_leaves_while_its_handler_thinks_cancels_it),
        TEST(a_writer_is_told_when_its_reader_has_left),
        TEST(a_writer_is_told_when_its_reader_only_reads_any_more),
        TEST(a_stream_begun_for_a_client_that_has_gone_is_thrown_away),
        TEST(a_client_that_only_ends_its_sending_gets_a_whole_answer_all_the_same),
        TEST(each_request_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
