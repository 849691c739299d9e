/* bench_model.c - what our side of a model call costs, beside libcurl alone.
 *
 * The server is the tests' fake, on this machine, so that nothing but our own time and the
 * loopback's is measured.  The bare counterpart sends the same request over a kept-alive
 * connection and throws the body away.
 */
#include "bench.h"
#include "upstream.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "model/answer.h"
#include "model/chat.h"

#include <curl/curl.h>
#include <pthread.h>
#include <unistd.h>

enum { SHORT_CALLS = 400, LONG_CALLS = 20, LONG_TOKENS = 4000, CANCELS = 20 };

static void need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench_model: %s\n", what);
    exit(1);
}

/* About `tokens` tokens of code in one file. */
static void write_answer(struct str *out, int tokens)
{
    str_add(out, "### src/units.py\n```python\n");
    for (int i = 0; i < tokens / 12; i++)
        str_addf(out, "def convert_%d(value, unit):\n    return value * %d\n", i, i * 7919);
    str_add(out, "```\n");
}

/* ---- the two ways ---- */

static double chat_us(struct model *m)
{
    static const struct chat_message message = { CHAT_USER, "Write a file." };
    struct chat_request q = { .messages = &message, .message_count = 1, .key = { "T-1", "developer", "green-1", 1 } };
    struct chat_answer answer;
    struct err e;
    int64_t start = clock_steady_us();
    need(model_chat(m, &q, &answer, &e) == 0, e.text);
    int64_t end = clock_steady_us();
    need(answer.text.len > 0 && answer.retries == 0, "an odd answer");
    chat_answer_release(&answer);
    return (double)(end - start);
}

static size_t ignore(char *bytes, size_t size, size_t count, void *ctx)
{
    (void)bytes;
    *(size_t *)ctx += size * count;
    return size * count;
}

static double bare_us(CURL *curl, const char *url)
{
    static const char body[] = "{\"max_tokens\":0,\"messages\":[{\"content\":\"Write a file.\",\"role\":\"user\"}],"
                               "\"model\":\"fake-7b\",\"seed\":0,\"stream\":true,"
                               "\"stream_options\":{\"include_usage\":true},\"temperature\":0.0}";
    size_t len = 0;
    int64_t start = clock_steady_us();
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &len);
    need(curl_easy_perform(curl) == CURLE_OK && len > 0, "the bare request failed");
    return (double)(clock_steady_us() - start);
}

/* Alternating, so that both see the same machine. */
static void compare(struct model *m, CURL *curl, const char *url, int calls, double *ret_ours, double *ret_bare)
{
    double ours[SHORT_CALLS], bare[SHORT_CALLS];
    for (int i = 0; i < calls; i++) {
        ours[i] = chat_us(m);
        bare[i] = bare_us(curl, url);
    }
    *ret_ours = bench_median(ours, (size_t)calls);
    *ret_bare = bench_median(bare, (size_t)calls);
}

/* ---- rows ---- */

static void measure_calls(int tokens, int calls, const char *name, double allowed_us, const char *goal)
{
    STR_LOCAL(text);
    STR_LOCAL(url);
    struct err e;
    struct model *m;
    struct model_options o = model_default_options;
    struct upstream *server = upstream_start();
    write_answer(&text, tokens);
    upstream_model(server, "fake-7b", text.data);
    str_addf(&url, "%s/v1/chat/completions", upstream_url(server));
    o.url = upstream_url(server);
    o.context_tokens = 8192;
    need(model_open(&m, &o, &e) == 0, e.text);
    chat_us(m); /* describes the model, opens the connection */
    CURL *curl = curl_easy_init();
    double ours, bare;
    compare(m, curl, url.data, calls, &ours, &bare);
    bench_row(name, "us", ours, bare, goal, ours - bare <= allowed_us);
    curl_easy_cleanup(curl);
    model_free(m);
    upstream_stop(server);
}

static atomic_bool cancelled;
static int64_t cancelled_us;

static void *cancel_soon(void *argument)
{
    (void)argument;
    usleep(30000);
    cancelled_us = clock_steady_us();
    atomic_store(&cancelled, true);
    return NULL;
}

static void measure_cancelling(void)
{
    static const struct chat_message message = { CHAT_USER, "Write a file." };
    double samples[CANCELS];
    struct err e;
    struct model *m;
    struct model_options o = model_default_options;
    struct upstream *server = upstream_start();
    upstream_model(server, "fake-7b", "x");
    o.url = upstream_url(server);
    o.context_tokens = 8192;
    need(model_open(&m, &o, &e) == 0, e.text);
    chat_us(m);
    upstream_on(server, "/v1/chat/completions", &(struct upstream_reply){ .delay_ms = 60000 });
    for (int i = 0; i < CANCELS; i++) {
        pthread_t thread;
        struct chat_answer answer;
        struct chat_request q = { .messages = &message, .message_count = 1, .cancel = &cancelled,
                                  .key = { "T-1", "developer", "green-1", 1 } };
        atomic_store(&cancelled, false);
        need(pthread_create(&thread, NULL, cancel_soon, NULL) == 0, "no thread");
        need(model_chat(m, &q, &answer, &e) == ERR_CANCELLED, e.text);
        double now = (double)clock_steady_us();
        pthread_join(thread, NULL);
        samples[i] = (now - (double)cancelled_us) / 1000;
    }
    double worst = bench_quantile(samples, CANCELS, 1);
    bench_row("a waiting model call ends after cancelling, worst of 20", "ms", worst, -1, "<= 50 ms", worst <= 50);
    model_free(m);
    upstream_stop(server);
}

static void measure_reading(void)
{
    STR_LOCAL(text);
    double samples[50];
    write_answer(&text, LONG_TOKENS);
    for (int i = 0; i < 50; i++) {
        ARENA_LOCAL(a);
        struct answer_files files;
        struct err e;
        int64_t start = clock_steady_us();
        need(answer_read_files(&a, text.data, text.len, &files, &e) == 0 && files.count == 1, e.text);
        samples[i] = (double)(clock_steady_us() - start);
    }
    double us = bench_median(samples, 50);
    bench_row("the files are read out of an answer of 4,000 tokens", "us", us, -1, "<= 1 ms", us <= 1000);
}

int main(void)
{
    measure_calls(50, SHORT_CALLS, "a model call with a short answer", 200, "<= bare + 0.2 ms");
    /* A model that is fast writes 4,000 tokens in 40 s: a thousandth of that. */
    measure_calls(LONG_TOKENS, LONG_CALLS, "a model call with 4,000 tokens", 40000, "<= bare + 40 ms");
    measure_cancelling();
    measure_reading();
    return 0;
}
