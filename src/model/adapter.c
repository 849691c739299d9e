/* adapter.c - a running adapter: its life, its lines, and who waits for them.
 *
 * The child's thread takes what the program prints, cuts it into lines, and puts each before the
 * call it is about; callers wait there.  A call that its caller has given up stays in the list until
 * the adapter says that it is done with it, because until then it counts among those under way.
 */
#include "model/adapter_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "model/backend.h"
#include "os/files.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CANCEL_MS = 5000, STEP_MS = 20,
    SHOWN_WORDS = 600, /* of its standard error */
    MAX_FOLDER_MIB = 256, MAX_FOLDER_ENTRIES = 10000, MAX_PROCESSES = 256, TMP_MIB = 256, DISK_MIB = 1024, FILE_MIB = 256,
};

/* With the lock held: for something to change, until `deadline_ms`, in steps in which `cancel` can
 * be looked at. */
static void wait_step(struct adapter *a, int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_steady_ms();
    struct timespec until = clock_steady_in(left < 0 ? 0 : left < STEP_MS ? left : STEP_MS);
    pthread_cond_timedwait(&a->changed, &a->lock, &until);
}

void adapter_break_locked(struct adapter *a, int code, const char *text)
{
    if (a->why.code)
        return;
    err_set(&a->why, code, "%s", text);
    sandbox_child_kill(a->child);
    pthread_cond_broadcast(&a->changed);
}

struct adapter_call **adapter_find_call(struct adapter *a, int64_t id)
{
    struct adapter_call **at = &a->calls;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

void adapter_free_call(struct adapter_call *c)
{
    for (struct said *s; (s = c->first);) {
        c->first = s->next;
        c->adapter->unread -= s->bytes;
        said_free(s);
    }
    if (c->current)
        said_free(c->current);
    free(c);
}

/* ---- its end ---- */

/* On one line, repaired, the end of it; with the lock held. */
static void add_last_words(struct adapter *a, struct str *out)
{
    size_t n = a->words.len, most = n < SHOWN_WORDS ? n : SHOWN_WORDS;
    const char *tail = utf8_tail(a->words.data, n, most);
    size_t len = strlen(tail);
    char *clean = xmalloc(3 * len + 1);
    len = utf8_repair(clean, tail, len);
    while (len && (unsigned char)clean[len - 1] <= ' ')
        len--;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)clean[i] < ' ' || clean[i] == 0x7F)
            clean[i] = ' ';
    if (len)
        str_addf(out, "; its last words: %.*s", (int)len, clean);
    free(clean);
}

/* In words, and whether another try makes sense. */
static int cause_of_end(struct adapter *a, struct str *out)
{
    const struct sandbox_result *end;
    struct err e;
    char how[80];
    int r = sandbox_child_end(a->child, &end, &e);
    if (r == ERR_NOT_FOUND) {
        str_addf(out, "it cannot be started: there is no program \"%s\" in its folder, or the interpreter that its first line names is not "
                      "there", ADAPTER_PROGRAM);
        return ERR_SETUP;
    }
    if (r < 0 && strstr(e.text, strerror(EACCES))) {
        str_addf(out, "it cannot be started: \"%s\" is not executable (chmod +x)", ADAPTER_PROGRAM);
        return ERR_SETUP;
    }
    if (r < 0) {
        str_addf(out, "it cannot be started: %.600s", e.text);
        return r == ERR_UNAVAILABLE || r == ERR_REFUSED ? ERR_SETUP : ERR_UNAVAILABLE;
    }
    a->orderly = end->process.end == PROCESS_EXITED && end->process.status == 0;
    str_addf(out, "it ended%s (it %s%s%s)", a->has_hello ? "" : " before it said hello", process_result_describe(&end->process, how, sizeof how),
             *end->limit_text ? ". " : "", end->limit_text);
    return ERR_UNAVAILABLE;
}

static void on_end(void *ctx)
{
    struct adapter *a = ctx;
    STR_LOCAL(why);
    pthread_mutex_lock(&a->lock);
    int code = cause_of_end(a, &why);
    if (!a->why.code)
        err_set(&a->why, code, "%s", why.data);
    a->ended = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    if (a->options.on_news)
        a->options.on_news(a->options.ctx);
}

/* With the lock held. */
static int say_why(struct adapter *a, struct err *e)
{
    STR_LOCAL(words);
    add_last_words(a, &words);
    return err_set(e, a->why.code, "the adapter %s: %.700s%s", a->has_hello ? a->hello.name : "does not work", a->why.text, words.data);
}

int adapter_why(struct adapter *a, struct err *e)
{
    pthread_mutex_lock(&a->lock);
    int r = a->why.code ? say_why(a, e) : 0;
    pthread_mutex_unlock(&a->lock);
    return r;
}

void adapter_send(struct adapter *a, const char *line)
{
    sandbox_child_send(a->child, line, strlen(line), NULL); /* one that does not read is told elsewhere */
}

void adapter_break(struct adapter *a, const char *why)
{
    pthread_mutex_lock(&a->lock);
    adapter_break_locked(a, ERR_UNAVAILABLE, why);
    pthread_mutex_unlock(&a->lock);
}

/* With the lock held: ends it when somebody was cancelled too long ago. */
static void look_for_overdue(struct adapter *a)
{
    int64_t limit = a->options.cancel_ms ? a->options.cancel_ms : CANCEL_MS, now = clock_steady_ms();
    for (const struct adapter_call *c = a->calls; c; c = c->next) {
        if (!c->given_up_ms || now - c->given_up_ms < limit)
            continue;
        STR_LOCAL(why);
        str_addf(&why, "it went on for %.3g s with a request that was cancelled", (double)limit / 1000);
        adapter_break_locked(a, ERR_UNAVAILABLE, why.data);
        return;
    }
}

bool adapter_lives(struct adapter *a)
{
    pthread_mutex_lock(&a->lock);
    look_for_overdue(a);
    bool lives = !a->why.code;
    pthread_mutex_unlock(&a->lock);
    return lives;
}

/* ---- beginning ---- */

static int fill_room(struct adapter *a, struct err *e)
{
    int folder;
    int r = dir_open(a->options.folder, false, &folder, e);
    if (r < 0)
        return err_set(e, ERR_SETUP, "the adapter's folder %s is not there", a->options.folder);
    r = sandbox_room_make(a->options.sandbox, &a->room, e);
    a->has_room = r == 0;
    if (r == 0)
        r = dir_copy(folder, a->room.work_fd, (int64_t)MAX_FOLDER_MIB << 20, MAX_FOLDER_ENTRIES, e);
    close(folder);
    return r;
}

static const char *const *environment_of(struct adapter *a, bool sandboxed)
{
    const struct adapter_options *o = &a->options;
    const char **env = ARENA_ARRAY(&a->arena, const char *, o->environment.count + 6);
    size_t n = 0;
    if (*o->file)
        env[n++] = arena_printf(&a->arena, "TANDEM_MODEL=%s", sandboxed ? ADAPTER_MODEL_SEEN : o->file);
    if (o->context)
        env[n++] = arena_printf(&a->arena, "TANDEM_CONTEXT=%lld", (long long)o->context);
    if (o->slots)
        env[n++] = arena_printf(&a->arena, "TANDEM_SLOTS=%lld", (long long)o->slots);
    env[n++] = "PYTHONUNBUFFERED=1";
    env[n++] = "PYTHONDONTWRITEBYTECODE=1";
    for (size_t i = 0; i < o->environment.count; i++)
        env[n++] = o->environment.items[i];
    return env;
}

static void describe_run(struct adapter *a)
{
    const struct adapter_options *o = &a->options;
    const char **argv = ARENA_ARRAY(&a->arena, const char *, o->arguments.count + 2);
    argv[0] = "./" ADAPTER_PROGRAM;
    for (size_t i = 0; i < o->arguments.count; i++)
        argv[i + 1] = o->arguments.items[i];
    a->limits = (struct sandbox_limits){ .memory_mib = o->memory_mib, .processes = MAX_PROCESSES, .file_mib = FILE_MIB, .tmp_mib = TMP_MIB,
                                         .disk_mib = DISK_MIB };
    a->run = (struct sandbox_run){ .argv = argv, .env = environment_of(a, !*sandbox_lacks(o->sandbox)), .room = &a->room, .work_readonly = true,
                                   .limits = &a->limits, .on_output = adapter_hear, .ctx = a };
    if (*o->file) {
        a->run.readonly[0].source = o->file;
        a->run.readonly[0].target = ADAPTER_MODEL_SEEN;
        a->run.readonly_count = 1;
    }
}

static void copy_texts(struct arena *a, struct texts *t)
{
    const struct texts from = *t;
    *t = (struct texts){ 0 };
    for (size_t i = 0; i < from.count; i++)
        texts_add(t, a, arena_strdup(a, from.items[i]));
}

int adapter_start(struct adapter **ret, const struct adapter_options *o, struct err *e)
{
    struct adapter *a = xcalloc(1, sizeof *a);
    a->options = *o;
    a->options.folder = arena_strdup(&a->arena, o->folder);
    a->options.file = arena_strdup(&a->arena, o->file);
    a->options.called = o->called ? arena_strdup(&a->arena, o->called) : NULL;
    copy_texts(&a->arena, &a->options.arguments);
    copy_texts(&a->arena, &a->options.environment);
    str_init(&a->partial);
    str_init(&a->words);
    a->next_id = 1;
    pthread_mutex_init(&a->lock, NULL);
    clock_cond_init(&a->changed);
    int r = fill_room(a, e);
    if (r == 0 && *o->file && access(o->file, R_OK) != 0)
        r = err_set_errno(e, ERR_SETUP, errno, "the model's file %s cannot be read", o->file);
    if (r == 0)
        describe_run(a);
    pthread_mutex_lock(&a->lock); /* so that the child's thread finds `child` */
    if (r == 0)
        r = sandbox_child_start(&a->child, o->sandbox, &a->run, on_end, e);
    pthread_mutex_unlock(&a->lock);
    if (r < 0) {
        adapter_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void adapter_free(struct adapter *a)
{
    if (!a)
        return;
    sandbox_child_free(a->child);
    for (struct adapter_call *c; (c = a->calls);) {
        a->calls = c->next;
        adapter_free_call(c);
    }
    if (a->has_room)
        sandbox_room_remove(a->options.sandbox, &a->room);
    arena_release(&a->hello_arena);
    arena_release(&a->arena);
    str_release(&a->partial);
    str_release(&a->words);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

int adapter_await(struct adapter *a, int64_t wait_ms, bool *ret_ready, struct err *e)
{
    int64_t deadline = clock_steady_ms() + wait_ms;
    int r = 0;
    pthread_mutex_lock(&a->lock);
    while (!a->has_hello && !a->why.code && clock_steady_ms() < deadline)
        wait_step(a, deadline);
    if (a->why.code)
        r = say_why(a, e);
    else
        *ret_ready = a->has_hello;
    pthread_mutex_unlock(&a->lock);
    return r;
}

const struct adapter_hello *adapter_said_hello(const struct adapter *a)
{
    return &a->hello;
}

const char *adapter_called(const struct adapter *a)
{
    return a->options.called ? a->options.called : a->hello.name;
}

void adapter_stop(struct adapter *a, int64_t grace_ms, bool *ret_orderly)
{
    int64_t deadline = clock_steady_ms() + grace_ms;
    sandbox_child_hang_up(a->child);
    pthread_mutex_lock(&a->lock);
    while (!a->ended && clock_steady_ms() < deadline)
        wait_step(a, deadline);
    if (!a->ended)
        adapter_break_locked(a, ERR_UNAVAILABLE, "it did not end when its input did");
    while (!a->ended) /* killed: it has no choice */
        wait_step(a, clock_steady_ms() + STEP_MS);
    if (ret_orderly)
        *ret_orderly = a->orderly;
    pthread_mutex_unlock(&a->lock);
}

int64_t adapter_complaints(struct adapter *a, struct str *ret_last)
{
    pthread_mutex_lock(&a->lock);
    int64_t bytes = a->words_bytes;
    add_last_words(a, ret_last);
    pthread_mutex_unlock(&a->lock);
    return bytes;
}

/* ---- calls ---- */

static size_t under_way(const struct adapter *a)
{
    size_t count = 0;
    for (const struct adapter_call *c = a->calls; c; c = c->next)
        count += !c->finished;
    return count;
}

/* With the lock held: 0 when there is a place for one more. */
static int await_turn(struct adapter *a, int64_t wait_ms, const atomic_bool *cancel, struct err *e)
{
    int64_t deadline = clock_steady_ms() + wait_ms;
    for (;;) { /* each turn waits; ends with the deadline */
        look_for_overdue(a);
        if (a->why.code)
            return say_why(a, e);
        if (!a->has_hello)
            return err_set(e, ERR_UNAVAILABLE, "the adapter is not ready yet");
        if (under_way(a) < (size_t)a->hello.slots)
            return 0;
        if (is_cancelled(cancel))
            return err_set(e, ERR_CANCELLED, "the call was cancelled");
        if (clock_steady_ms() >= deadline)
            return err_set(e, ERR_TIMEOUT, "the adapter %s was busy with other requests for %.3g s", a->hello.name, (double)wait_ms / 1000);
        wait_step(a, deadline);
    }
}

int adapter_call_begin(struct adapter *a, void (*write)(struct str *out, int64_t id, void *ctx), void *ctx, int64_t wait_ms,
                       const atomic_bool *cancel, struct adapter_call **ret, struct err *e)
{
    STR_LOCAL(line);
    struct err fault;
    pthread_mutex_lock(&a->lock);
    int r = await_turn(a, wait_ms, cancel, e);
    if (r == 0) {
        struct adapter_call *c = xcalloc(1, sizeof *c);
        *c = (struct adapter_call){ .adapter = a, .next = a->calls, .id = a->next_id++ };
        c->last = &c->first;
        a->calls = c;
        write(&line, c->id, ctx);
        if (sandbox_child_send(a->child, line.data, line.len, &fault) < 0)
            adapter_break_locked(a, ERR_UNAVAILABLE, fault.text); /* which adapter_call_next tells */
        *ret = c;
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

int adapter_call_next(struct adapter_call *c, int64_t wait_ms, const struct adapter_line **ret, struct err *e)
{
    struct adapter *a = c->adapter;
    int64_t deadline = clock_steady_ms() + wait_ms;
    int r = 0;
    pthread_mutex_lock(&a->lock);
    if (c->current)
        said_free(c->current);
    c->current = NULL;
    while (!c->first && !a->why.code && clock_steady_ms() < deadline)
        wait_step(a, deadline);
    struct said *s = c->first;
    if (s) {
        c->first = s->next;
        c->last = c->first ? c->last : &c->first;
        c->current = s;
        a->unread -= s->bytes;
        *ret = &s->line;
    } else {
        r = a->why.code ? say_why(a, e) : err_set(e, ERR_TIMEOUT, "nothing came from the adapter");
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

void adapter_call_end(struct adapter_call *c)
{
    if (!c)
        return;
    struct adapter *a = c->adapter;
    STR_LOCAL(line);
    pthread_mutex_lock(&a->lock);
    if (c->finished || a->why.code) {
        *adapter_find_call(a, c->id) = c->next;
        adapter_free_call(c);
    } else {
        c->given_up_ms = clock_steady_ms();
        adapter_write_word(&line, "cancel", c->id);
        sandbox_child_send(a->child, line.data, line.len, NULL); /* one that does not read is overdue soon */
    }
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

int adapter_ping(struct adapter *a, int64_t wait_ms, struct err *e)
{
    STR_LOCAL(line);
    int64_t deadline = clock_steady_ms() + wait_ms;
    int r = 0;
    pthread_mutex_lock(&a->lock);
    int64_t id = a->ping_id = a->next_id++;
    adapter_write_word(&line, "ping", id);
    sandbox_child_send(a->child, line.data, line.len, NULL);
    while (a->ping_id == id && !a->why.code && clock_steady_ms() < deadline)
        wait_step(a, deadline);
    if (a->why.code)
        r = say_why(a, e);
    else if (a->ping_id == id)
        r = err_set(e, ERR_UNAVAILABLE, "the adapter %s did not answer a ping within %.3g s", a->hello.name, (double)wait_ms / 1000);
    pthread_mutex_unlock(&a->lock);
    return r;
}
