/* HTTP requests against a scripted server. */
#include "canceller.h"
#include "check.h"
#include "upstream.h"

#include "base/clock.h"
#include "base/str.h"
#include "http/client.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct upstream *server;
    struct str url, body;
    struct http_result result;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->server = upstream_start();
    str_init(&f->url);
    str_init(&f->body);
    str_addf(&f->url, "%s/x", upstream_url(f->server));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    upstream_stop(f->server);
    str_release(&f->url);
    str_release(&f->body);
    free(f);
    return 0;
}

static void serve(struct fixture *f, struct upstream_reply reply)
{
    upstream_on(f->server, "/x", &reply);
}

static int ask(struct fixture *f, struct http_request q)
{
    q.method = q.method ? q.method : "GET";
    q.url = q.url ? q.url : f->url.data;
    return http_ask(&q, &f->result, &f->body, &f->err);
}

static void a_get_gives_status_type_and_body(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .type = "text/plain", .body = "hello" });
    check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    assert_int_equal(f->result.status, 200);
    assert_string_equal(f->result.content_type, "text/plain");
    assert_string_equal(f->body.data, "hello");
    assert_int_equal(f->result.retry_after_ms, -1);
    assert_true(f->result.first_byte_us >= 0 && f->result.total_us >= f->result.first_byte_us);
}

static void a_post_sends_body_headers_and_key(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "ok" });
    static const char *const headers[] = { "Content-Type: application/json", "X-Test: 1", NULL };
    check_ok(ask(f, (struct http_request){ .method = "POST", .body = "{\"a\":1}", .body_len = 7,
                                           .headers = headers, .bearer = "sk-secret" }), &f->err);
    assert_string_equal(upstream_body(f->server, "/x", 0), "{\"a\":1}");
    const char *head = upstream_head(f->server, "/x", 0);
    assert_non_null(strstr(head, "POST /x HTTP/1.1"));
    assert_non_null(strstr(head, "X-Test: 1\r\n"));
    assert_non_null(strstr(head, "Authorization: Bearer sk-secret\r\n"));
    assert_null(strstr(head, "Expect"));
}

static void large_bodies_go_both_ways_without_a_pause(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(big);
    for (int i = 0; i < 200000; i++)
        str_add(&big, "0123456789");
    serve(f, (struct upstream_reply){ .body = big.data });
    int64_t start = clock_steady_ms();
    check_ok(ask(f, (struct http_request){ .method = "POST", .body = big.data, .body_len = big.len }), &f->err);
    assert_true(clock_steady_ms() - start < 900); /* no wait for "100 Continue" */
    assert_int_equal(f->body.len, big.len);
    assert_int_equal(strlen(upstream_body(f->server, "/x", 0)), big.len);
}

static void an_error_status_is_a_result_with_its_words(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .status = 503, .headers = "Retry-After: 7\r\n", .body = "busy" });
    check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    assert_int_equal(f->result.status, 503);
    assert_int_equal(f->result.retry_after_ms, 7000);
    assert_string_equal(f->body.data, "busy");
}

static void of_an_endless_error_page_only_the_beginning_is_read(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .status = 500, .body = "0123456789abcdef", .repeat = 1 << 20 });
    check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    assert_int_equal(f->result.status, 500);
    assert_int_equal(f->body.len, 64 << 10);
}

static void a_redirect_is_not_followed(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .status = 302, .headers = "Location: http://elsewhere.invalid/\r\n" });
    check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    assert_int_equal(f->result.status, 302);
    assert_string_equal(f->result.location, "http://elsewhere.invalid/");
    assert_int_equal(upstream_count(f->server, NULL), 1);
}

static void proxies_of_the_environment_are_not_used(void **state)
{
    struct fixture *f = *state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    serve(f, (struct upstream_reply){ .body = "direct" });
    check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    assert_string_equal(f->body.data, "direct");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static void a_connection_is_used_again(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "ok" });
    for (int i = 0; i < 5; i++)
        check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    assert_int_equal(upstream_connections(f->server), 1);
}

static void connections_to_many_servers_do_not_pile_up(void **state)
{
    struct fixture *f = *state;
    enum { SERVERS = 20 };
    struct upstream *servers[SERVERS];
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = upstream_start();
        upstream_on(servers[i], "/x", &(struct upstream_reply){ .body = "ok" });
        STR_LOCAL(url);
        str_addf(&url, "%s/x", upstream_url(servers[i]));
        for (int k = 0; k < 2; k++)
            check_ok(ask(f, (struct http_request){ .url = url.data }), &f->err);
        assert_int_equal(upstream_connections(servers[i]), 1);
    }
    for (int i = 0; i < 500 && upstream_open_connections(servers[0]); i++)
        usleep(10000);
    assert_int_equal(upstream_open_connections(servers[0]), 0); /* unused for longest */
    assert_int_equal(upstream_open_connections(servers[SERVERS - 1]), 1);
    for (int i = 0; i < SERVERS; i++)
        upstream_stop(servers[i]);
}

static void a_kept_connection_that_died_is_replaced_silently(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "one", .end = UPSTREAM_KEEP });
    serve(f, (struct upstream_reply){ .status = UPSTREAM_RAW, .end = UPSTREAM_CLOSE });
    serve(f, (struct upstream_reply){ .body = "three" });
    check_ok(ask(f, (struct http_request){ 0 }), &f->err);
    check_ok(ask(f, (struct http_request){ .method = "POST", .body = "b", .body_len = 1 }), &f->err);
    assert_string_equal(f->body.data, "three");
}

static void a_refused_connection_names_the_address(void **state)
{
    struct fixture *f = *state;
    struct upstream *gone = upstream_start();
    STR_LOCAL(url);
    str_addf(&url, "%s/secret-path?key=1", upstream_url(gone));
    upstream_stop(gone);
    check_err(ask(f, (struct http_request){ .url = url.data }), ERR_UNAVAILABLE, &f->err, "Connection refused");
    assert_non_null(strstr(f->err.text, "http://127.0.0.1:"));
    assert_null(strstr(f->err.text, "secret-path"));
}

static void an_unknown_name_is_said_to_be_unknown(void **state)
{
    struct fixture *f = *state;
    check_err(ask(f, (struct http_request){ .url = "http://no-such-host.invalid/" }), ERR_UNAVAILABLE,
              &f->err, "name is unknown");
}

static void other_schemes_and_forged_headers_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const forged[] = { "X: 1\r\nEvil: 2", NULL };
    check_err(ask(f, (struct http_request){ .url = "file:///etc/passwd" }), ERR_INVALID, &f->err, "http");
    check_err(ask(f, (struct http_request){ .url = "ftp://127.0.0.1/" }), ERR_INVALID, &f->err, "http");
    check_err(ask(f, (struct http_request){ .headers = forged }), ERR_INVALID, &f->err, "line break");
    check_err(ask(f, (struct http_request){ .bearer = "a\nb" }), ERR_INVALID, &f->err, "line break");
    check_err(ask(f, (struct http_request){ .url = "http://127.0.0.1:notaport/" }), ERR_INVALID, &f->err, "address");
    assert_int_equal(upstream_count(f->server, NULL), 0);
}

static void what_is_not_http_is_named(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .status = UPSTREAM_RAW, .body = "SSH-2.0-OpenSSH_9.2\r\n", .end = UPSTREAM_CLOSE });
    check_err(ask(f, (struct http_request){ 0 }), ERR_FAILED, &f->err, "does not speak HTTP");
}

static void endless_headers_are_cut(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(flood);
    str_add(&flood, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; i++)
        str_addf(&flood, "X-Flood-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", i);
    serve(f, (struct upstream_reply){ .status = UPSTREAM_RAW, .body = flood.data, .end = UPSTREAM_HANG });
    int r = ask(f, (struct http_request){ .total_ms = 5000 });
    assert_true(r == ERR_LIMIT || r == ERR_FAILED); /* ours, or libcurl's own limit */
}

static void silence_before_the_headers_is_a_first_byte_time_out(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .delay_ms = 5000 });
    int64_t start = clock_steady_ms();
    check_err(ask(f, (struct http_request){ .first_byte_ms = 60, .total_ms = 3000 }), ERR_TIMEOUT, &f->err, "did not begin");
    assert_true(clock_steady_ms() - start < 2000);
    assert_true(upstream_saw_client_leave(f->server));
}

static void silence_after_the_headers_is_a_first_byte_time_out_too(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "x", .body_delay_ms = 5000 });
    check_err(ask(f, (struct http_request){ .first_byte_ms = 60 }), ERR_TIMEOUT, &f->err, "did not begin");
}

static void silence_within_the_body_is_a_stall(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "abcdef", .cut = 3, .end = UPSTREAM_HANG });
    check_err(ask(f, (struct http_request){ .first_byte_ms = 3000, .stall_ms = 60 }), ERR_TIMEOUT, &f->err, "in the middle");
}

static void a_dripping_body_ends_at_the_total_time(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "x", .repeat = 10000, .pause_ms = 10 });
    check_err(ask(f, (struct http_request){ .stall_ms = 3000, .total_ms = 150 }), ERR_TIMEOUT, &f->err, "did not finish");
}

static void a_body_above_the_limit_is_cut_off(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "0123456789", .repeat = 1000 });
    check_err(ask(f, (struct http_request){ .max_body = 5000 }), ERR_LIMIT, &f->err, "5000");
}

static void half_a_body_is_a_broken_connection(void **state)
{
    struct fixture *f = *state;
    serve(f, (struct upstream_reply){ .body = "abcdef", .cut = 3, .end = UPSTREAM_CLOSE });
    check_err(ask(f, (struct http_request){ 0 }), ERR_FAILED, &f->err, "broke");
    serve(f, (struct upstream_reply){ .body = "abcdef", .cut = 3, .end = UPSTREAM_RESET });
    check_err(ask(f, (struct http_request){ 0 }), ERR_FAILED, &f->err, "broke");
}

static void a_silent_request_is_cancelled_at_once(void **state)
{
    struct fixture *f = *state;
    struct canceller c = { 0 };
    pthread_t thread;
    serve(f, (struct upstream_reply){ .delay_ms = 30000 });
    pthread_create(&thread, NULL, cancel_soon, &c);
    check_err(ask(f, (struct http_request){ .cancel = &c.flag }), ERR_CANCELLED, &f->err, "stopped");
    int64_t now = clock_steady_ms();
    pthread_join(thread, NULL);
    assert_true(now - c.at_ms < 500); /* 20 ms on an idle machine */
    assert_true(upstream_saw_client_leave(f->server));
}

static bool take(const char *bytes, size_t len, void *ctx)
{
    str_add_bytes(ctx, bytes, len);
    return ((struct str *)ctx)->len < 100;
}

static void on_body_sees_pieces_and_can_stop(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(seen);
    serve(f, (struct upstream_reply){ .body = "0123456789", .piece = 3, .pause_ms = 1 });
    check_ok(ask(f, (struct http_request){ .on_body = take, .ctx = &seen }), &f->err);
    assert_string_equal(seen.data, "0123456789");
    assert_int_equal(f->body.len, 0);
    serve(f, (struct upstream_reply){ .body = "0123456789", .repeat = 1 << 20 });
    check_err(ask(f, (struct http_request){ .on_body = take, .ctx = &seen, .max_body = 1 << 30 }),
              ERR_CANCELLED, &f->err, "stopped");
}

static void an_error_body_never_reaches_on_body(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(seen);
    serve(f, (struct upstream_reply){ .status = 404, .body = "no such thing" });
    check_ok(ask(f, (struct http_request){ .on_body = take, .ctx = &seen }), &f->err);
    assert_int_equal(seen.len, 0);
    assert_string_equal(f->body.data, "no such thing");
}

static bool tick(void *ctx)
{
    return ++*(int *)ctx < 3;
}

static void on_tick_can_stop_a_silent_request(void **state)
{
    struct fixture *f = *state;
    int ticks = 0;
    serve(f, (struct upstream_reply){ .delay_ms = 30000 });
    check_err(ask(f, (struct http_request){ .on_tick = tick, .ctx = &ticks }), ERR_CANCELLED, &f->err, "stopped");
    assert_int_equal(ticks, 3);
}

static void a_company_ca_is_needed_and_enough(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/tandem-client-XXXXXX";
    assert_non_null(mkdtemp(dir));
    STR_LOCAL(ca);
    STR_LOCAL(url);
    str_addf(&ca, "%s/ca.pem", dir);
    struct upstream *server = upstream_start_tls(ca.data);
    str_addf(&url, "%s/x", upstream_url(server));
    upstream_on(server, "/x", &(struct upstream_reply){ .body = "private" });
    check_err(ask(f, (struct http_request){ .url = url.data }), ERR_REFUSED, &f->err, "not trusted");
    check_err(ask(f, (struct http_request){ .url = url.data, .ca_file = "/does/not/exist" }), ERR_INVALID, &f->err, "/does/not/exist");
    check_ok(ask(f, (struct http_request){ .url = url.data, .ca_file = ca.data }), &f->err);
    assert_string_equal(f->body.data, "private");
    upstream_stop(server);
    unlink(ca.data);
    rmdir(dir);
}

static void a_file_without_certificates_is_no_ca_file(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/tandem-client-XXXXXX";
    assert_non_null(mkdtemp(dir));
    STR_LOCAL(ca);
    str_addf(&ca, "%s/ca.pem", dir);
    struct upstream *server = upstream_start_tls(ca.data);
    struct http_request q = { .url = upstream_url(server), .ca_file = "/dev/null" };
    check_err(ask(f, q), ERR_INVALID, &f->err, "the CA file /dev/null cannot be used");
    upstream_stop(server);
    unlink(ca.data);
    rmdir(dir);
}

/* In a child whose list of certificates is hidden: as on a bare machine. */
static int ask_without_trust(struct fixture *f, const char *url)
{
    if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount("tmpfs", "/etc/ssl", "tmpfs", 0, NULL) < 0)
        return 77;
    int r = ask(f, (struct http_request){ .url = url });
    bool good = r == ERR_INVALID && strstr(f->err.text, "install the package ca-certificates")
        && !strstr(f->err.text, "null");
    if (!good)
        fprintf(stderr, "%d: %s\n", r, f->err.text);
    return good ? 0 : 1;
}

static void a_machine_without_certificates_is_told_what_to_install(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/tandem-client-XXXXXX";
    assert_non_null(mkdtemp(dir));
    STR_LOCAL(ca);
    str_addf(&ca, "%s/ca.pem", dir);
    struct upstream *server = upstream_start_tls(ca.data);
    STR_LOCAL(url);
    str_addf(&url, "%s/x", upstream_url(server));
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        _exit(ask_without_trust(f, url.data));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    upstream_stop(server);
    unlink(ca.data);
    rmdir(dir);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* no mount namespaces here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_unix_socket_is_spoken_to(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/tandem-client-XXXXXX";
    assert_non_null(mkdtemp(dir));
    STR_LOCAL(path);
    str_addf(&path, "%s/s", dir);
    struct upstream *server = upstream_start_unix(path.data);
    upstream_on(server, "/x", &(struct upstream_reply){ .body = "local" });
    check_ok(ask(f, (struct http_request){ .url = "http://localhost/x", .unix_socket = path.data }), &f->err);
    assert_string_equal(f->body.data, "local");
    upstream_stop(server);
    check_err(ask(f, (struct http_request){ .url = "http://localhost/x", .unix_socket = path.data }), ERR_UNAVAILABLE, &f->err, path.data);
    unlink(path.data);
    rmdir(dir);
}

static void *ask_twenty_times(void *argument)
{
    for (intptr_t i = 0; i < 20; i++) {
        STR_LOCAL(body);
        struct http_result result;
        struct err e = { 0 };
        struct http_request q = { .method = "GET", .url = argument };
        if (http_ask(&q, &result, &body, &e) < 0 || !streq(body.data, "ok"))
            return (void *)(i + 1);
    }
    return NULL;
}

static void parallel_requests_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[8];
    serve(f, (struct upstream_reply){ .body = "ok" });
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, ask_twenty_times, f->url.data);
    for (int i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(upstream_count(f->server, "/x"), 160);
    assert_true(upstream_connections(f->server) <= 8);
}

static void an_origin_shows_neither_password_nor_path(void **state)
{
    (void)state;
    char out[40];
    http_origin("http://user:pa@ss@host:80/v1?key=1", out, sizeof out);
    assert_string_equal(out, "http://host:80");
    http_origin("https://host", out, sizeof out);
    assert_string_equal(out, "https://host");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_gives_status_type_and_body),
        TEST(a_post_sends_body_headers_and_key),
        TEST(large_bodies_go_both_ways_without_a_pause),
        TEST(an_error_status_is_a_result_with_its_words),
        TEST(of_an_endless_error_page_only_the_beginning_is_read),
        TEST(a_redirect_is_not_followed),
        TEST(proxies_of_the_environment_are_not_used),
        TEST(a_connection_is_used_again),
        TEST(connections_to_many_servers_do_not_pile_up),
        TEST(a_kept_connection_that_died_is_replaced_silently),
        TEST(a_refused_connection_names_the_address),
        TEST(an_unknown_name_is_said_to_be_unknown),
        TEST(other_schemes_and_forged_headers_are_refused),
        TEST(what_is_not_http_is_named),
        TEST(endless_headers_are_cut),
        TEST(silence_before_the_headers_is_a_first_byte_time_out),
        TEST(silence_after_the_headers_is_a_first_byte_time_out_too),
        TEST(silence_within_the_body_is_a_stall),
        TEST(a_dripping_body_ends_at_the_total_time),
        TEST(a_body_above_the_limit_is_cut_off),
        TEST(half_a_body_is_a_broken_connection),
        TEST(a_silent_request_is_cancelled_at_once),
        TEST(on_body_sees_pieces_and_can_stop),
        TEST(an_error_body_never_reaches_on_body),
        TEST(on_tick_can_stop_a_silent_request),
        TEST(a_company_ca_is_needed_and_enough),
        TEST(a_file_without_certificates_is_no_ca_file),
        TEST(a_machine_without_certificates_is_told_what_to_install),
        TEST(a_unix_socket_is_spoken_to),
        TEST(parallel_requests_do_not_disturb_each_other),
        TEST(an_origin_shows_neither_password_nor_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
