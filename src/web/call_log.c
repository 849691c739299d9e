/* call_log.c - committing calls in batches. */
#include "web/call_log.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>

enum { ROOM = 4096, GATHER_MS = 200, TOGETHER = 256 }; /* together: in one event */

struct entry {
    int64_t at_ms;            /* when it ended, wall clock */
    struct gateway_call call; /* whose texts are these: */
    char path[64], asked[128], model[128], key[64];
};

struct call_log {
    struct store *store;
    struct keyring *keys;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct entry *entries; /* ROOM */
    size_t count;
    int64_t lost;
    bool closing;
};

static json_t *describe(const struct gateway_call *c)
{
    json_t *o = json_object();
    json_put_text(o, "path", c->path);
    json_put_text(o, "key", c->key);
    json_put_text(o, "asked", c->asked);
    json_put_text(o, "model", c->model);
    json_put_int(o, "version", c->version);
    json_put_int(o, "status", c->status);
    json_put_int(o, "prompt_tokens", c->prompt_tokens);
    json_put_int(o, "cached_tokens", c->cached_tokens);
    json_put_int(o, "completion_tokens", c->completion_tokens);
    json_put_int(o, "queue_us", c->queue_us);
    json_put_int(o, "first_token_us", c->first_token_us);
    json_put_int(o, "total_us", c->total_us);
    json_put_bool(o, "cancelled", c->cancelled);
    return o;
}

static void put(struct batch *b, struct arena *a, json_t *payload, const char *actor)
{
    batch_event(b, &(struct event){ .actor = actor, .kind = "model.asked", .payload_json = json_keep(a, payload) });
}

static json_t *describe_some(const struct entry *entries, size_t count)
{
    json_t *all = json_object(), *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = describe(&entries[i].call);
        json_put_int(one, "at_ms", entries[i].at_ms);
        json_array_append_new(list, one);
    }
    json_put(all, "calls", list);
    return all;
}

int call_log_put(struct store *s, const struct gateway_call *c, const char *actor, struct err *e)
{
    ARENA_LOCAL(a);
    struct batch *b = batch_new();
    put(b, &a, describe(c), actor);
    int r = store_commit(s, b, NULL, e);
    batch_free(b);
    return r;
}

static void commit(struct call_log *l, const struct entry *entries, size_t count, int64_t lost)
{
    ARENA_LOCAL(a);
    struct err e;
    struct batch *b = batch_new();
    for (size_t i = 0; i < count; i += TOGETHER) {
        json_t *payload = describe_some(entries + i, count - i < TOGETHER ? count - i : TOGETHER);
        if (lost && i == 0)
            json_put_int(payload, "lost_before", lost);
        put(b, &a, payload, "gateway");
    }
    if (store_commit(l->store, b, NULL, &e) < 0)
        log_warning("%zu calls of models are not in the log: %s", count, e.text);
    batch_free(b);
}

static void update_use(struct call_log *l, struct batch *b, const char *name)
{
    ARENA_LOCAL(a);
    struct key_use today, stored;
    int64_t version;
    if (!keyring_today(l->keys, name, &today))
        return; /* removed meanwhile */
    int r = store_get(l->store, &a, &key_use_type, name, &stored, &version, NULL);
    if (r == 0)
        batch_update(b, &key_use_type, name, version, &today);
    else if (r == ERR_NOT_FOUND)
        batch_insert(b, &key_use_type, name, &today);
}

static bool is_named_before(const struct entry *entries, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (streq(entries[i].key, entries[at].key))
            return true;
    return false;
}

/* Apart from the calls: somebody may take the key away at this moment, and then only this fails. */
static void commit_uses(struct call_log *l, const struct entry *entries, size_t count)
{
    struct err e;
    struct batch *b = batch_new();
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!*entries[i].key || is_named_before(entries, i))
            continue;
        update_use(l, b, entries[i].key);
        any = true;
    }
    if (any && store_commit(l->store, b, NULL, &e) < 0)
        log_warning("what keys have used is not kept: %s", e.text);
    batch_free(b);
}

/* A commit for each call would take more from the calls than they cost.  With the lock held. */
static void gather(struct call_log *l)
{
    struct timespec until = clock_steady_in(GATHER_MS);
    while (!l->closing && l->count < ROOM / 2 && pthread_cond_timedwait(&l->wake, &l->lock, &until) == 0)
        ;
}

static void *keep(void *ctx)
{
    struct call_log *l = ctx;
    struct entry *taken = xcalloc(ROOM, sizeof *taken);
    pthread_mutex_lock(&l->lock);
    while (l->count || !l->closing) {
        if (!l->count) {
            pthread_cond_wait(&l->wake, &l->lock);
            gather(l);
            continue;
        }
        struct entry *full = l->entries;
        size_t count = l->count;
        int64_t lost = l->lost;
        l->entries = taken;
        l->count = 0;
        l->lost = 0;
        pthread_mutex_unlock(&l->lock);
        commit(l, full, count, lost);
        commit_uses(l, full, count);
        taken = full;
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    free(taken);
    return NULL;
}

int call_log_new(struct call_log **ret, struct store *s, struct keyring *keys, struct err *e)
{
    struct call_log *l = xcalloc(1, sizeof *l);
    l->store = s;
    l->keys = keys;
    l->entries = xcalloc(ROOM, sizeof *l->entries);
    pthread_mutex_init(&l->lock, NULL);
    clock_cond_init(&l->wake);
    if (pthread_create(&l->thread, NULL, keep, l) != 0) {
        free(l->entries);
        free(l);
        return err_set(e, ERR_FAILED, "no thread can be made for the log of calls");
    }
    *ret = l;
    return 0;
}

static const char *copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
    return to;
}

void call_log_add(struct call_log *l, const struct gateway_call *c)
{
    pthread_mutex_lock(&l->lock);
    if (l->count == ROOM) {
        l->lost++;
    } else {
        /* The texts stay where they are: entries are never moved. */
        struct entry *n = &l->entries[l->count++];
        n->call = *c;
        n->at_ms = clock_wall_ms();
        n->call.path = copy(n->path, sizeof n->path, c->path);
        n->call.asked = copy(n->asked, sizeof n->asked, c->asked);
        n->call.key = copy(n->key, sizeof n->key, c->key);
        n->call.model = copy(n->model, sizeof n->model, c->model);
        if (l->count == 1 || l->count == ROOM / 2)
            pthread_cond_signal(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
}

void call_log_free(struct call_log *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    free(l->entries);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
