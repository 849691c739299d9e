/* bench_gateway.c - what the gateway adds to a model's answer, beside asking the model's server.
 *
 * The model's server is the tests' fake, a process of its own; `tandem serve` is the real program.
 * Both are asked by the same client over kept-alive connections on this machine, in turn, so that
 * a busy machine is busy for both.  The client is a socket and nothing else: a library would cost
 * more than what is measured.
 */
#include "bench.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CALLS = 1000, WARM_UP = 50, LARGE_BYTES = 100000, EVENTS = 1000, EVENT_CALLS = 40,
    RATE = 1000, CLIENTS = 32, ROUNDS = 4, ROUND_CALLS = 2000,
    LEAVES = 20, STARTS = 20,
};

static void need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench_gateway: %s\n", what);
    exit(1);
}

/* ---- programs ---- */

struct program {
    pid_t pid;
    int out;
    char said[1024]; /* its first line */
};

static struct program start(const char *const *argv)
{
    int ends[2];
    struct program p = { 0 };
    posix_spawn_file_actions_t files;
    need(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    need(posix_spawn(&p.pid, argv[0], &files, NULL, (char *const *)argv, environ) == 0, argv[0]);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    p.out = ends[0];
    for (size_t n = 0; n + 1 < sizeof p.said && !strchr(p.said, '\n'); n++)
        need(read(p.out, p.said + n, 1) == 1, "a server says nothing");
    return p;
}

static void end(struct program *p)
{
    kill(p->pid, SIGTERM);
    waitpid(p->pid, NULL, 0);
    close(p->out);
}

static void run(const char *const *argv)
{
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    need(posix_spawn(&pid, argv[0], &files, NULL, (char *const *)argv, environ) == 0 && waitpid(pid, &status, 0) == pid && status == 0,
         argv[0]);
    posix_spawn_file_actions_destroy(&files);
}

/* The port in "http://127.0.0.1:PORT". */
static int port_of(const char *said)
{
    static const char before[] = "http://127.0.0.1:";
    const char *at = strstr(said, before);
    need(at != NULL, said);
    return (int)strtol(at + sizeof before - 1, NULL, 10);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen("new", "w");
    need(f && fputs(text, f) >= 0 && fclose(f) == 0 && rename("new", path) == 0, path);
}

/* ---- a client ---- */

static int dial(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    need(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0, "no connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void say(int fd, const struct str *request)
{
    for (size_t sent = 0; sent < request->len;) {
        ssize_t n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);
        need(n > 0, "a request cannot be sent");
        sent += (size_t)n;
    }
}

/* Whether the answer is whole. */
static bool is_whole(const struct str *answer)
{
    const char *head_end = strstr(answer->data, "\r\n\r\n"), *length = strcasestr(answer->data, "\r\nContent-Length:");
    if (!head_end)
        return false;
    if (length && length < head_end)
        return answer->len >= (size_t)(head_end + 4 - answer->data) + (size_t)strtoul(length + sizeof "\r\nContent-Length:" - 1, NULL, 10);
    return ends_with(answer->data, "\r\n0\r\n\r\n");
}

static void hear(int fd, struct str *answer)
{
    char bytes[65536];
    str_clear(answer);
    do {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        need(n > 0, "an answer ended early");
        str_add_bytes(answer, bytes, (size_t)n);
    } while (!is_whole(answer));
    need(starts_with(answer->data, "HTTP/1.1 200"), answer->data);
}

static double call_us(int fd, const struct str *request, struct str *answer)
{
    int64_t begun = clock_steady_us();
    say(fd, request);
    hear(fd, answer);
    return (double)(clock_steady_us() - begun);
}

/* The model is named as each of the two knows it. */
static void write_request(struct str *out, const char *model, size_t bytes, bool stream)
{
    STR_LOCAL(body);
    str_addf(&body, "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"", model, stream ? "true" : "false");
    for (size_t i = 0; i < bytes; i += 10)
        str_add(&body, "Say hello ");
    str_add(&body, "\"}]}");
    str_addf(out, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             body.len, body.data);
}

/* ---- the two ways ---- */

struct way {
    int port;
    const char *model;
    int fd;
    struct str request;
};
struct stage {
    struct program upstream, tandem;
    struct way direct, through;
};

static const char *tandem;

/* A raw answer of the script, as one member "raw" and "body". */
static void script_answer(struct str *out, const char *has, const char *type, const char *body)
{
    STR_LOCAL(raw);
    json_t *rule = json_object();
    str_addf(&raw, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type, strlen(body), body);
    json_put_text(rule, "on", "/v1/chat/completions");
    json_put_text(rule, "has", has);
    json_put_bool(rule, "raw", true);
    json_put_text(rule, "body", raw.data);
    json_write(out, rule);
    json_decref(rule);
}

/* Answers in one piece, whole or as a stream: how a model's server writes one token after the other
 * is its own time, and none of ours. */
static void script_short_answers(void)
{
    static const char chunk[] = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake\",\"choices\":[%s]%s}\n\n";
    static const char usage[] = "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}";
    STR_LOCAL(events);
    STR_LOCAL(whole);
    STR_LOCAL(script);
    str_addf(&events, chunk, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}", "");
    str_addf(&events, chunk, "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}", "");
    str_addf(&events, chunk, "", ",");
    str_truncate(&events, events.len - strlen("}\n\n"));
    str_addf(&events, "%s}\n\ndata: [DONE]\n\n", usage);
    str_addf(&whole, "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"fake\",\"choices\":[{\"index\":0,\"message\":"
                     "{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],%s}", usage);
    str_add(&script, "{\"context\": 1000000, \"parallel\": 64, \"rules\": [");
    script_answer(&script, "\"stream\":true", "text/event-stream", events.data);
    str_add_char(&script, ',');
    script_answer(&script, "", "application/json", whole.data);
    str_add(&script, "]}");
    write_file("script.json", script.data);
}

static void set_up(struct stage *s)
{
    const char *const upstream[] = { FAKE_UPSTREAM, "--as", "vllm", "--port", "0", "--script", "script.json", "--alias", "fake",
                                     "--ctx-size", "1000000", NULL };
    const char *const import[] = { tandem, "model", "import", "models.yaml", NULL };
    const char *const serve[] = { tandem, "serve", "--listen", "127.0.0.1:0", NULL };
    STR_LOCAL(entries);
    setenv("TANDEM_HOME", "home", 1);
    setenv("TANDEM_NEARBY", "", 1);
    script_short_answers();
    s->upstream = start(upstream);
    s->direct = (struct way){ .port = port_of(s->upstream.said), .model = "fake", .request = STR_INIT };
    str_addf(&entries, "backends:\n- {id: fake, kind: openai, url: 'http://127.0.0.1:%d/v1'}\n"
                       "models:\n- {id: many, backend: fake, name: fake, slots: 64}\n- {id: one, backend: fake, name: fake}\n", s->direct.port);
    write_file("models.yaml", entries.data);
    run(import);
    s->tandem = start(serve);
    s->through = (struct way){ .port = port_of(s->tandem.said), .model = "many", .request = STR_INIT };
}

static void tear_down(struct stage *s)
{
    end(&s->tandem);
    end(&s->upstream);
    str_release(&s->direct.request);
    str_release(&s->through.request);
}

/* ---- what the machine itself takes ---- */

static void *echo(void *ctx)
{
    int fd = *(int *)ctx;
    for (char byte; read(fd, &byte, 1) == 1;)
        need(write(fd, &byte, 1) == 1, "nothing can be written");
    return NULL;
}

/* A call by the gateway wakes two threads more than a direct one: the one that reads it, and the same once more
 * when the model's server has answered.  On an idle virtual machine that is much of what it adds. */
static void measure_waking(void)
{
    static double samples[CALLS];
    int ends[2];
    char byte = 0;
    pthread_t thread;
    need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no pair of sockets");
    need(pthread_create(&thread, NULL, echo, &ends[1]) == 0, "no thread");
    for (size_t i = 0; i < CALLS; i++) {
        int64_t begun = clock_steady_us();
        need(write(ends[0], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1, "no echo");
        samples[i] = (double)(clock_steady_us() - begun) / 2;
    }
    close(ends[0]);
    pthread_join(thread, NULL);
    close(ends[1]);
    bench_row("this machine: one thread wakes another", "us", bench_median(samples, CALLS), -1, "-, the gateway needs 2 more", true);
}

/* ---- added latency ---- */

static void compare(struct stage *s, size_t bytes, bool stream, int calls, double *ret_through, double *ret_direct)
{
    static double through[CALLS], direct[CALLS];
    struct way *ways[] = { &s->through, &s->direct };
    STR_LOCAL(answer);
    for (int w = 0; w < 2; w++) {
        str_clear(&ways[w]->request);
        write_request(&ways[w]->request, ways[w]->model, bytes, stream);
        ways[w]->fd = dial(ways[w]->port);
    }
    for (int i = -WARM_UP; i < calls; i++) {
        double a = call_us(s->through.fd, &s->through.request, &answer), b = call_us(s->direct.fd, &s->direct.request, &answer);
        if (i >= 0) {
            through[i] = a;
            direct[i] = b;
        }
    }
    for (int w = 0; w < 2; w++)
        close(ways[w]->fd);
    *ret_through = bench_median(through, (size_t)calls);
    *ret_direct = bench_median(direct, (size_t)calls);
}

static void measure_latency(struct stage *s)
{
    static const struct {
        const char *name;
        size_t bytes;
        bool stream;
        double allowed_us;
        const char *goal;
    } rows[] = {
        { "a short question by the gateway", 10, false, 150, "<= bare + 0.15 ms" },
        { "a short question by the gateway, streamed", 10, true, 150, "<= bare + 0.15 ms" },
        { "a question of 100 KB by the gateway", LARGE_BYTES, false, 400, "<= bare + 0.4 ms" },
        { "a question of 100 KB by the gateway, streamed", LARGE_BYTES, true, 400, "<= bare + 0.4 ms" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double through, direct;
        compare(s, rows[i].bytes, rows[i].stream, CALLS, &through, &direct);
        bench_row(rows[i].name, "us", through, direct, rows[i].goal, through - direct <= rows[i].allowed_us);
    }
}

/* What each further token costs. */
static void measure_events(struct stage *s)
{
    double through, direct;
    STR_LOCAL(script);
    str_add(&script, "{\"context\": 1000000, \"parallel\": 64, \"text\": \"");
    for (int i = 0; i < EVENTS; i++)
        str_add(&script, "word");
    str_add(&script, "\"}");
    write_file("script.json", script.data);
    compare(s, 10, true, EVENT_CALLS, &through, &direct);
    bench_row("an answer of 1,000 tokens by the gateway, streamed, each", "us", through / EVENTS, direct / EVENTS, "<= bare + 20 us",
              through - direct <= 20.0 * EVENTS);
    compare(s, 10, false, EVENT_CALLS, &through, &direct);
    bench_row("an answer of 1,000 tokens by the gateway, whole, each", "us", through / EVENTS, direct / EVENTS, "<= bare + 50 us",
              through - direct <= 50.0 * EVENTS);
    script_short_answers();
}

/* ---- many at once ---- */

struct client {
    pthread_t thread;
    const struct way *way;
    int number;
    int64_t begun_us;
    double samples[ROUND_CALLS / CLIENTS + 1];
    size_t count;
};

/* Calls at its own times of a common schedule; a call that comes late for an earlier one counts from
 * when it should have begun. */
static void *keep_schedule(void *ctx)
{
    struct client *c = ctx;
    STR_LOCAL(answer);
    int fd = dial(c->way->port);
    for (int i = c->number; i < ROUND_CALLS; i += CLIENTS) {
        int64_t due = c->begun_us + (int64_t)i * 1000000 / RATE, now = clock_steady_us();
        if (due > now)
            usleep((useconds_t)(due - now));
        say(fd, &c->way->request);
        hear(fd, &answer);
        c->samples[c->count++] = (double)(clock_steady_us() - due) / 1000;
    }
    close(fd);
    return NULL;
}

static void run_schedule(const struct way *way, double *samples, size_t *count)
{
    static struct client clients[CLIENTS];
    int64_t begun_us = clock_steady_us() + 50000;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .way = way, .number = i, .begun_us = begun_us };
        need(pthread_create(&clients[i].thread, NULL, keep_schedule, &clients[i]) == 0, "no thread");
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        memcpy(samples + *count, clients[i].samples, clients[i].count * sizeof *samples);
        *count += clients[i].count;
    }
}

static void measure_many(struct stage *s)
{
    static double through[ROUNDS * ROUND_CALLS], direct[ROUNDS * ROUND_CALLS];
    size_t through_count = 0, direct_count = 0;
    struct way *ways[] = { &s->through, &s->direct };
    for (int w = 0; w < 2; w++) {
        str_clear(&ways[w]->request);
        write_request(&ways[w]->request, ways[w]->model, 10, false);
    }
    for (int i = 0; i < ROUNDS; i++) {
        run_schedule(&s->through, through, &through_count);
        run_schedule(&s->direct, direct, &direct_count);
    }
    double p99 = bench_quantile(through, through_count, 0.99);
    bench_row("1,000 questions a second by the gateway, 99th percentile", "ms", p99, bench_quantile(direct, direct_count, 0.99), "<= 2 ms", p99 <= 2);
    double median = bench_median(through, through_count);
    bench_row("1,000 questions a second by the gateway, median", "ms", median, bench_median(direct, direct_count), "<= 1 ms", median <= 1);
}

/* ---- leaving ---- */

/* From the moment when the client who has the only slot leaves until another one has its answer. */
static void measure_leaving(struct stage *s)
{
    double samples[LEAVES];
    STR_LOCAL(holds);
    STR_LOCAL(waits);
    STR_LOCAL(answer);
    char bytes[4096];
    write_request(&holds, "one", 10, true);
    write_request(&waits, "one", 20, false);
    for (int i = 0; i < LEAVES; i++) {
        write_file("script.json", "{\"rules\": [{\"has\": \"Say hello Say\", \"text\": \"Hello\"}, "
                                  "{\"text\": \"one two three four five six seven eight nine ten eleven twelve\", \"tokens_per_s\": 2}], "
                                  "\"context\": 1000000}");
        int holder = dial(s->through.port), waiter = dial(s->through.port);
        say(holder, &holds);
        need(recv(holder, bytes, sizeof bytes, 0) > 0, "no stream begins");
        say(waiter, &waits);
        usleep(30000);
        int64_t begun = clock_steady_us();
        close(holder);
        hear(waiter, &answer);
        samples[i] = (double)(clock_steady_us() - begun) / 1000;
        close(waiter);
    }
    double worst = bench_quantile(samples, LEAVES, 1);
    bench_row("a client leaves until the next has its answer, worst of 20", "ms", worst, -1, "<= 50 ms", worst <= 50);
}

/* ---- starting ---- */

/* From the start of the program until it has answered /readyz. */
static void measure_starting(void)
{
    double ours[STARTS], bare[STARTS];
    const char *const serve[] = { tandem, "serve", "--listen", "127.0.0.1:0", NULL };
    const char *const version[] = { tandem, "--version", NULL };
    STR_LOCAL(request);
    STR_LOCAL(answer);
    str_add(&request, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    for (int i = 0; i < STARTS; i++) {
        int64_t begun = clock_steady_us();
        struct program p = start(serve);
        int fd = dial(port_of(p.said));
        say(fd, &request);
        hear(fd, &answer);
        ours[i] = (double)(clock_steady_us() - begun) / 1000;
        close(fd);
        end(&p);
        begun = clock_steady_us();
        run(version);
        bare[i] = (double)(clock_steady_us() - begun) / 1000;
    }
    double median = bench_median(ours, STARTS);
    bench_row("tandem serve is ready (beside tandem --version)", "ms", median, bench_median(bare, STARTS), "<= 50 ms", median <= 50);
}

int main(void)
{
    static struct stage s;
    tandem = getenv("TANDEM");
    need(tandem != NULL, "TANDEM must name the binary");
    set_up(&s);
    measure_waking();
    measure_latency(&s);
    measure_events(&s);
    measure_many(&s);
    measure_leaving(&s);
    tear_down(&s);
    measure_starting();
    return 0;
}
