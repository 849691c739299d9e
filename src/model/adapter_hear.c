/* adapter_hear.c - what an adapter prints, cut into lines, each put before the call it is about.
 *
 * All on the child's thread.
 */
#include "model/adapter_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <time.h>

enum {
    MAX_UNREAD = 64 << 20,              /* bytes that wait for a caller */
    CALM_BYTES = 1 << 20, CALM_MS = 20, /* more in a second than so much, and it is read slowly */
};

/* ---- lines ---- */

static bool take_hello(struct adapter *a, struct said *s)
{
    if (a->has_hello) {
        adapter_break_locked(a, ERR_UNAVAILABLE, "it said hello twice");
        return false;
    }
    a->hello = s->line.hello;
    a->hello_arena = s->arena;
    s->arena = (struct arena)ARENA_INIT;
    a->has_hello = true;
    return false;
}

/* Before the call it is about; true: `s` was taken. */
static bool take_answer(struct adapter *a, struct said *s)
{
    struct adapter_call **at = adapter_find_call(a, s->line.id), *c = *at;
    if (!c || c->finished) {
        STR_LOCAL(text);
        str_addf(&text, "it answered request %lld (\"%s\"), which is not under way", (long long)s->line.id, adapter_type_names[s->line.type]);
        adapter_break_locked(a, ERR_UNAVAILABLE, text.data);
        return false;
    }
    c->finished = s->line.type == ADAPTER_DONE || s->line.type == ADAPTER_ERROR;
    if (c->given_up_ms) {
        if (c->finished) {
            *at = c->next;
            adapter_free_call(c);
        }
        return false;
    }
    *c->last = s;
    c->last = &s->next;
    a->unread += s->bytes;
    if (a->unread > MAX_UNREAD)
        adapter_break_locked(a, ERR_UNAVAILABLE, "it says more at once than can be taken");
    return true;
}

static bool take_said(struct adapter *a, struct said *s)
{
    if (s->line.type == ADAPTER_HELLO)
        return take_hello(a, s);
    if (s->line.type != ADAPTER_PONG)
        return take_answer(a, s);
    if (s->line.id != a->ping_id)
        adapter_break_locked(a, ERR_UNAVAILABLE, "it answered a ping that nobody sent");
    else
        a->ping_id = 0;
    return false;
}

/* The line cannot be read. */
static void break_at_line(struct adapter *a, const char *text, size_t len, const struct err *e)
{
    STR_LOCAL(why);
    char shown[200];
    size_t n = utf8_repair(shown, text, len < 60 ? len : 60);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)shown[i] < ' ')
            shown[i] = ' ';
    if (e->code == ERR_SETUP) {
        adapter_break_locked(a, ERR_SETUP, e->text);
        return;
    }
    str_addf(&why, "line %lld of what it printed is not of the protocol: %.300s; the line begins: %.*s", (long long)a->lines, e->text, (int)n, shown);
    if (!a->has_hello)
        str_add(&why, ". The first line must be hello; whatever else it has to say belongs on its standard error");
    adapter_break_locked(a, a->has_hello ? ERR_UNAVAILABLE : ERR_SETUP, why.data);
}

static void take_line(struct adapter *a, const char *text, size_t len)
{
    struct said *s = xcalloc(1, sizeof *s);
    struct err e;
    bool taken = false, news = false;
    s->bytes = len + sizeof *s;
    int r = adapter_line_read(&s->arena, text, len, &s->line, &e);
    a->lines++;
    pthread_mutex_lock(&a->lock);
    if (a->why.code)
        ; /* it is being ended: what it still says counts no more */
    else if (r == 0 && !a->has_hello && s->line.type != ADAPTER_HELLO)
        r = err_set(&e, ERR_INVALID, "it says \"%s\" before hello", adapter_type_names[s->line.type]);
    else if (r == 0) {
        news = s->line.type == ADAPTER_HELLO;
        taken = take_said(a, s);
    }
    if (r < 0)
        break_at_line(a, text, len, &e);
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    if (!taken)
        said_free(s);
    if (news && a->options.on_news)
        a->options.on_news(a->options.ctx);
}

/* ---- what it prints ---- */

static void break_at_length(struct adapter *a)
{
    STR_LOCAL(why);
    str_addf(&why, "line %lld of what it printed is longer than %d MiB", (long long)a->lines + 1, ADAPTER_MAX_LINE >> 20);
    pthread_mutex_lock(&a->lock);
    adapter_break_locked(a, ERR_UNAVAILABLE, why.data);
    pthread_mutex_unlock(&a->lock);
    str_clear(&a->partial);
}

static void hear_answers(struct adapter *a, const char *bytes, size_t len)
{
    const char *end;
    while (len && (end = memchr(bytes, '\n', len))) {
        size_t n = (size_t)(end - bytes);
        str_add_bytes(&a->partial, bytes, n);
        bytes += n + 1;
        len -= n + 1;
        if (a->partial.len > ADAPTER_MAX_LINE)
            break_at_length(a);
        else
            take_line(a, a->partial.data, a->partial.len);
        str_clear(&a->partial);
    }
    str_add_bytes(&a->partial, bytes, len);
    if (a->partial.len > ADAPTER_MAX_LINE)
        break_at_length(a);
}
/* The last of it is kept.  One that complains without end is read slowly: it waits for us then, and
 * not we for it. */
static void hear_complaints(struct adapter *a, const char *bytes, size_t len)
{
    int64_t now = clock_steady_ms();
    pthread_mutex_lock(&a->lock);
    size_t kept = len < ADAPTER_MAX_WORDS ? len : ADAPTER_MAX_WORDS;
    str_add_bytes(&a->words, bytes + len - kept, kept);
    if (a->words.len > ADAPTER_MAX_WORDS) {
        memmove(a->words.data, a->words.data + a->words.len - ADAPTER_MAX_WORDS, ADAPTER_MAX_WORDS);
        str_truncate(&a->words, ADAPTER_MAX_WORDS);
    }
    a->words_bytes += (int64_t)len;
    if (now - a->calm_since_ms >= 1000) {
        a->calm_since_ms = now;
        a->calm_bytes = 0;
    }
    a->calm_bytes += (int64_t)len;
    bool is_flood = a->calm_bytes > CALM_BYTES && !a->why.code;
    pthread_mutex_unlock(&a->lock);
    if (is_flood)
        nanosleep(&(struct timespec){ .tv_nsec = CALM_MS * 1000000 }, NULL);
}

void adapter_hear(int stream, const char *bytes, size_t len, void *ctx)
{
    if (stream == 1)
        hear_answers(ctx, bytes, len);
    else
        hear_complaints(ctx, bytes, len);
}

