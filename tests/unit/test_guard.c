/* Malformed requests, as bytes on a socket: what libmicrohttpd lets through, the guard stops. */
#include "server_fixture.h"

#include "http/guard.h"

#include <sys/socket.h>
#include <unistd.h>

struct attack {
    const char *what;
    const char *bytes;
    size_t len;
    int status; /* 0: closed without an answer will do */
};
#define ATTACK(what, status, bytes) { what, bytes, sizeof(bytes) - 1, status }
/* What a smuggler wants to be answered. */
#define PRIZE "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

static const struct attack attacks[] = {
    /* two ways to read where the body ends */
    ATTACK("length and chunks", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("chunks and length", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("two lengths", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" PRIZE),
    ATTACK("a length twice", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc" PRIZE),
    ATTACK("a list of lengths", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc" PRIZE),
    ATTACK("a signed length", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc" PRIZE),
    ATTACK("a negative length", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc" PRIZE),
    ATTACK("a hexadecimal length", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc" PRIZE),
    ATTACK("an empty length", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nabc" PRIZE),
    ATTACK("a huge length", 413, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551619\r\n\r\nabc" PRIZE),
    ATTACK("a length with a blank", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3 \r\n\r\nabc" PRIZE),
    ATTACK("a blank before the colon", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc" PRIZE),
    ATTACK("a tab before the colon", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("two encodings", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("a list of encodings", 501, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("an unknown encoding", 501, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("an encoding with a tab", 501, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("no encoding", 501, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n" PRIZE),
    ATTACK("chunks from an old client", 400, "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" PRIZE),
    /* two ways to read where a line ends */
    ATTACK("bare LF in the head", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\nContent-Length: 3\r\n\r\nabc" PRIZE),
    ATTACK("bare LF behind the request line", 400, "GET /hello HTTP/1.1\nHost: x\r\n\r\n" PRIZE),
    ATTACK("bare LF at the end", 400, "GET /hello HTTP/1.1\r\nHost: x\r\n\n" PRIZE),
    ATTACK("bare LF everywhere", 400, "GET /hello HTTP/1.1\nHost: x\n\n" PRIZE),
    ATTACK("bare LF made up for by a blank", 400, "GET /hello HTTP/1.1\r\nHost:  x\nA: b\r\n\r\n" PRIZE),
    ATTACK("bare CR in a value", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\rContent-Length: 3\r\n\r\n" PRIZE),
    ATTACK("CR CR LF", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n" PRIZE),
    ATTACK("a folded header", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nA: b\r\n Content-Length: 3\r\n\r\n" PRIZE),
    ATTACK("a folded header by tab", 400, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n" PRIZE),
    ATTACK("a blank before the first header", 400, "GET /hello HTTP/1.1\r\n Host: x\r\n\r\n" PRIZE),
    ATTACK("NUL in a value", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n" PRIZE),
    ATTACK("NUL at the end of a value", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\0\r\n\r\n" PRIZE),
    ATTACK("NUL in a name", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA\0b: c\r\n\r\n" PRIZE),
    ATTACK("NUL before a name", 400, "GET /hello HTTP/1.1\r\nHost: x\r\n\0A: c\r\n" PRIZE "\r\n"),
    ATTACK("NUL in the path", 400, "GET /hel\0lo HTTP/1.1\r\nHost: x\r\n\r\n" PRIZE),
    ATTACK("NUL in the method", 400, "G\0ET /hello HTTP/1.1\r\nHost: x\r\n\r\n" PRIZE),
    ATTACK("NUL in the version", 0, "GET /hello HTTP/1.1\0\r\nHost: x\r\n\r\n" PRIZE),
    ATTACK("no name", 400, "GET /hello HTTP/1.1\r\nHost: x\r\n: c\r\n" PRIZE "\r\n"),
    ATTACK("no colon", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nfoo\r\n\r\n" PRIZE),
    /* characters without a place there */
    ATTACK("a control character", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n" PRIZE),
    ATTACK("DEL", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n" PRIZE),
    ATTACK("bytes that are no text", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA: \xff\xfe\r\n\r\n" PRIZE),
    ATTACK("a name that is no word", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nA[]: b\r\n\r\n" PRIZE),
    ATTACK("a method that is no word", 400, "G(T /hello HTTP/1.1\r\nHost: x\r\n\r\n" PRIZE),
    /* for whom */
    ATTACK("no Host", 400, "GET /hello HTTP/1.1\r\nA: b\r\n\r\n" PRIZE),
    ATTACK("nothing but a request line", 400, "GET /hello HTTP/1.1\r\n\r\n" PRIZE),
    ATTACK("two Hosts", 400, "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" PRIZE),
    ATTACK("two Hosts of an old client", 400, "GET /hello HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n" PRIZE),
    ATTACK("a Host with a path", 400, "GET /hello HTTP/1.1\r\nHost: x/y\r\n\r\n" PRIZE),
    ATTACK("a Host with a user", 400, "GET /hello HTTP/1.1\r\nHost: a@b\r\n\r\n" PRIZE),
    /* the request line */
    ATTACK("HTTP/0.9", 0, "GET /hello\r\n\r\n"),
    ATTACK("a method alone", 0, "GET\r\n\r\n"),
    ATTACK("no path", 0, "GET  HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("HTTP/2.0", 505, "GET /hello HTTP/2.0\r\nHost: x\r\n\r\n"),
    ATTACK("HTTP/1.2", 505, "GET /hello HTTP/1.2\r\nHost: x\r\n\r\n"),
    ATTACK("a preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ATTACK("http in small letters", 400, "GET /hello http/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("a version too long", 0, "GET /hello HTTP/1.1x\r\nHost: x\r\n\r\n"),
    ATTACK("two blanks", 0, "GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("a blank at the end", 0, "GET /hello HTTP/1.1 \r\nHost: x\r\n\r\n"),
    ATTACK("a blank in the path", 0, "GET /hel lo HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("tabs", 0, "GET\t/hello\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("TLS", 0, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
};

/* Ways to end a chunk that others may read differently.  Whatever becomes of the request, what
 * comes behind it is no other one. */
static const struct attack chunks[] = {
    ATTACK("as it should be", 0, "3\r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("bare LF behind the size", 0, "3\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("two LFs behind the size", 0, "3\n\nab\r\n0\r\n\r\n" PRIZE),
    ATTACK("bare LF behind the chunk", 0, "3\r\nabc\n0\r\n\r\n" PRIZE),
    ATTACK("bare CR behind the size", 0, "3\rabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("bare LF at the end", 0, "3\r\nabc\r\n0\n\n" PRIZE),
    ATTACK("no line end behind the chunk", 0, "3\r\nabc0\r\n\r\n" PRIZE),
    ATTACK("LF in an extension", 0, "3;a=b\nc\r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("a size that wraps", 0, "10000000000000003\r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("a negative size", 0, "-3\r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("a size with 0x", 0, "0x3\r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("a blank behind the size", 0, "3 \r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("an empty size", 0, "\r\nabc\r\n0\r\n\r\n" PRIZE),
    ATTACK("a request as trailer", 0, "0\r\n" PRIZE),
    ATTACK("a trailer without a colon", 0, "0\r\nGET\r\n\r\n" PRIZE),
};

/* Targets that are no path here: refused, but nothing is wrong with the connection. */
static const struct attack targets[] = {
    ATTACK("a whole URL", 400, "GET http://x/hello HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("a star", 400, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("an authority", 400, "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("a fragment", 400, "GET /hello#a HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("raw UTF-8", 400, "GET /h\xc3\xa4llo HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("a backslash", 400, "GET /\\..\\hello HTTP/1.1\r\nHost: x\r\n\r\n"),
};

/* Unusual, but well-formed. */
static const struct attack harmless[] = {
    ATTACK("no blank behind the colon", 200, "GET /hello HTTP/1.1\r\nHost:x\r\nA:b\r\n\r\n"),
    ATTACK("many blanks", 200, "GET /hello HTTP/1.1\r\nHost: \t x \t \r\nA:  \t b c\t\r\n\r\n"),
    ATTACK("empty values", 200, "GET /hello HTTP/1.1\r\nHost:\r\nA:\r\nB: \r\nC:\t\r\n\r\n"),
    ATTACK("one header of each", 200, "GET /hello?a=b&c=%64 HTTP/1.1\r\nHost: [::1]:80\r\nAccept: */*\r\nCookie: a=b; c=\"d\"\r\nX: y\r\n\r\n"),
    ATTACK("small letters", 200, "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n"),
    ATTACK("UTF-8 in a value", 200, "GET /hello HTTP/1.1\r\nHost: x\r\nA: \xc3\xa4\r\n\r\n"),
    ATTACK("empty lines before", 200, "\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"),
    ATTACK("a length of nothing", 200, "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
    ATTACK("zeros before the length", 200, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 003\r\n\r\nabc"),
    ATTACK("chunks", 200, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n"),
    ATTACK("an old client", 200, "GET /hello HTTP/1.0\r\n\r\n"),
};

enum way { AT_ONCE, BYTE_BY_BYTE, IN_HALVES, WAYS };

static void send_in(int fd, enum way way, const char *bytes, size_t len)
{
    size_t piece = way == AT_ONCE ? len : way == BYTE_BY_BYTE ? 1 : len / 2 + 1;
    for (size_t at = 0; at < len; at += piece) {
        client_send(fd, bytes + at, len - at < piece ? len - at : piece);
        if (way == IN_HALVES || (way == BYTE_BY_BYTE && at % 8 == 0))
            usleep(way == IN_HALVES ? 2000 : 50);
    }
}

/* On a connection on which a good request went before. */
static int open_used(const struct server_fixture *f)
{
    ANSWER_LOCAL(a);
    int fd = client_tcp(f);
    CLIENT_SEND(fd, PRIZE);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    return fd;
}

static void refuse_all(struct server_fixture *f, enum way way, bool used)
{
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        const struct attack *attack = &attacks[i];
        ANSWER_LOCAL(a);
        client_asks = attack->what;
        int fd = used ? open_used(f) : client_tcp(f);
        send_in(fd, way, attack->bytes, attack->len);
        client_read(fd, &a, false);
        if (a.status != attack->status && (attack->status || a.status < 400))
            fail_msg("%s: %d instead of %d", attack->what, a.status, attack->status);
        client_read(fd, &a, false);
        if (a.status)
            fail_msg("%s: what came behind it was answered with %d", attack->what, a.status);
        close(fd);
    }
}

static void what_can_be_read_in_two_ways_is_refused_and_the_connection_closed(void **state)
{
    refuse_all(*state, AT_ONCE, false);
}

static void it_does_not_matter_how_the_network_cuts_it(void **state)
{
    refuse_all(*state, BYTE_BY_BYTE, false);
    refuse_all(*state, IN_HALVES, false);
}

static void a_connection_that_behaved_before_is_watched_as_closely(void **state)
{
    refuse_all(*state, AT_ONCE, true);
    refuse_all(*state, IN_HALVES, true);
}

static void nothing_is_read_behind_a_body_in_chunks(void **state)
{
    struct server_fixture *f = *state;
    for (int way = 0; way < WAYS; way++)
        for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
            ANSWER_LOCAL(a);
            client_asks = chunks[i].what;
            int fd = client_tcp(f);
            CLIENT_SEND(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            send_in(fd, (enum way)way, chunks[i].bytes, chunks[i].len);
            shutdown(fd, SHUT_WR); /* some of them wait for more */
            client_read(fd, &a, false);
            if (strstr(a.body.data, "hello") || (a.status == 200 && !strstr(a.head, "Connection: close\n")))
                fail_msg("%s: the answer is \"%s\"", chunks[i].what, a.body.data);
            client_read(fd, &a, false);
            if (a.status)
                fail_msg("%s: what came behind it was answered with %d", chunks[i].what, a.status);
            close(fd);
        }
}

static void a_refusal_is_counted_and_has_the_form_of_the_api(void **state)
{
    struct server_fixture *f = *state;
    ANSWER_LOCAL(a);
    struct http_counters c;
    client_ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", &a);
    assert_string_equal(a.body.data, "{\"error\":{\"code\":\"malformed\",\"message\":\"more than one Host\","
                                     "\"type\":\"invalid_request_error\"}}");
    assert_non_null(strstr(a.head, "Connection: close\n"));
    http_server_count(f->server, &c);
    assert_int_equal(c.refused, 1);
}

static void ask_all(struct server_fixture *f, const struct attack *all, size_t count)
{
    for (int way = 0; way < WAYS; way++)
        for (size_t i = 0; i < count; i++) {
            ANSWER_LOCAL(a);
            int fd = client_tcp(f);
            send_in(fd, (enum way)way, all[i].bytes, all[i].len);
            client_read(fd, &a, false);
            if (a.status != all[i].status)
                fail_msg("%s: %d instead of %d: %s", all[i].what, a.status, all[i].status, a.body.data);
            close(fd);
        }
}

static void targets_that_are_no_path_are_refused(void **state)
{
    ask_all(*state, targets, sizeof targets / sizeof *targets);
}

static void what_is_unusual_but_well_formed_is_served(void **state)
{
    ask_all(*state, harmless, sizeof harmless / sizeof *harmless);
}

/* ---- too long ---- */

static int ask_long(struct server_fixture *f, size_t path_len, size_t header_len, size_t header_count)
{
    ANSWER_LOCAL(a);
    STR_LOCAL(q);
    str_add(&q, "GET /hello?");
    for (size_t i = 0; i < path_len; i++)
        str_add_char(&q, 'a');
    str_add(&q, " HTTP/1.1\r\nHost: x\r\n");
    for (size_t i = 0; i < header_count; i++) {
        str_addf(&q, "H%zu: ", i);
        for (size_t j = 0; j < header_len; j++)
            str_add_char(&q, 'b');
        str_add(&q, "\r\n");
    }
    str_add(&q, "\r\n");
    client_ask(f, q.data, &a);
    return a.status;
}

static void lines_and_heads_have_limits(void **state)
{
    struct server_fixture *f = *state;
    assert_int_equal(ask_long(f, 8000, 0, 0), 200);
    assert_int_equal(ask_long(f, 8192, 0, 0), 414);
    assert_int_equal(ask_long(f, 40000, 0, 0), 414);
    assert_int_equal(ask_long(f, 400000, 0, 0), 414);
    assert_int_equal(ask_long(f, 0, 16000, 1), 200);
    assert_int_equal(ask_long(f, 0, 16384, 1), 431);
    assert_int_equal(ask_long(f, 0, 40000, 1), 431);
    assert_int_equal(ask_long(f, 0, 400000, 1), 431);
    assert_int_equal(ask_long(f, 0, 1, 99), 200);
    assert_int_equal(ask_long(f, 0, 1, 100), 431);
    assert_int_equal(ask_long(f, 0, 1, 5000), 431);
    assert_int_equal(ask_long(f, 8000, 80, 90), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_set_up, server_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_can_be_read_in_two_ways_is_refused_and_the_connection_closed),
        TEST(it_does_not_matter_how_the_network_cuts_it),
        TEST(a_connection_that_behaved_before_is_watched_as_closely),
        TEST(nothing_is_read_behind_a_body_in_chunks),
        TEST(a_refusal_is_counted_and_has_the_form_of_the_api),
        TEST(targets_that_are_no_path_are_refused),
        TEST(what_is_unusual_but_well_formed_is_served),
        TEST(lines_and_heads_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
