/* keyring.c - keys in memory, and their counts.
 *
 * A holder is what is known of a key while the server runs.  Those of removed keys are kept until
 * the end, so that a call under way may go on pointing to its own; there are as many as somebody
 * has made by hand.
 */
#include "web/keyring.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { MINUTE_US = 60000000, SECOND_US = 1000000, DAY_S = 86400 };

struct holder {
    struct holder *next; /* by name */
    char *name;
    bool gone;
    struct key_entry entry; /* its texts are in the ring's arena */
    int64_t next_us;        /* steady: when the requests of the last minute would be worn off */
    struct key_use today;
    int64_t running;
    uint64_t requests, turned_away, tokens;
};

struct keyring {
    struct store *store;
    bool keyless_local;
    pthread_mutex_t lock; /* guards what follows */
    struct arena *arena;  /* holds the entries; replaced as a whole */
    struct holder *holders;
    size_t count;         /* of keys that are there */
    uint64_t unknown;
};

/* ---- taking keys in ---- */

static struct holder *holder_named(struct keyring *r, const char *name)
{
    for (struct holder *h = r->holders; h; h = h->next)
        if (streq(h->name, name))
            return h;
    return NULL;
}

static struct holder *holder_new(struct keyring *r, const char *name)
{
    struct holder **at = &r->holders, *h = xcalloc(1, sizeof *h);
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    h->name = xstrdup(name);
    h->next = *at;
    *at = h;
    return h;
}

/* The lock is held. */
static void take_in(struct keyring *r, const struct key_entry *k, const struct key_use *use)
{
    struct holder *h = holder_named(r, k->id);
    bool is_new = !h;
    if (is_new)
        h = holder_new(r, k->id);
    if (is_new || (h->gone && !streq(h->entry.digest, k->digest)))
        h->today = *use;
    h->gone = false;
    h->entry = *k;
}

int keyring_reload(struct keyring *r, struct err *e)
{
    struct arena *a = xcalloc(1, sizeof *a), *old;
    struct records keys;
    arena_init(a);
    int code = keys_load(r->store, a, &keys, e);
    const struct key_entry *k = keys.items;
    struct key_use *uses = code == 0 ? ARENA_ARRAY(a, struct key_use, keys.count + 1) : NULL;
    for (size_t i = 0; code == 0 && i < keys.count; i++) {
        code = store_get(r->store, a, &key_use_type, k[i].id, &uses[i], NULL, e);
        code = code == ERR_NOT_FOUND ? 0 : code;
    }
    if (code == 0) {
        pthread_mutex_lock(&r->lock);
        for (struct holder *h = r->holders; h; h = h->next)
            h->gone = true;
        for (size_t i = 0; i < keys.count; i++)
            take_in(r, &k[i], &uses[i]);
        for (struct holder *h = r->holders; h; h = h->next)
            if (h->gone)
                h->entry = (struct key_entry){ .id = h->name, .digest = "" };
        r->count = keys.count;
        old = r->arena;
        r->arena = a;
        pthread_mutex_unlock(&r->lock);
        a = old;
    }
    if (a)
        arena_release(a);
    free(a);
    return code;
}

int keyring_new(struct keyring **ret, struct store *s, bool keyless_local, struct err *e)
{
    struct keyring *r = xcalloc(1, sizeof *r);
    r->store = s;
    r->keyless_local = keyless_local;
    pthread_mutex_init(&r->lock, NULL);
    int code = keyring_reload(r, e);
    if (code == 0)
        *ret = r;
    else
        keyring_free(r);
    return code;
}

void keyring_free(struct keyring *r)
{
    if (!r)
        return;
    for (struct holder *h = r->holders, *next; h; h = next) {
        next = h->next;
        free(h->name);
        free(h);
    }
    if (r->arena)
        arena_release(r->arena);
    free(r->arena);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

size_t keyring_count(struct keyring *r)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

/* ---- who it is ---- */

/* Each byte is looked at, so that the time taken says nothing of where two digests differ. */
static bool same_digest(const char *one, const char *other)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < DIGEST_HEX_LEN; i++)
        difference |= (unsigned char)(one[i] ^ other[i]);
    return difference == 0;
}

/* The lock is held. */
static struct holder *holder_of(struct keyring *r, const char *key)
{
    struct digest d = digest_of(key, strlen(key));
    struct holder *found = NULL;
    for (struct holder *h = r->holders; h; h = h->next)
        if (strlen(h->entry.digest) == DIGEST_HEX_LEN && same_digest(h->entry.digest, d.hex))
            found = h;
    return found;
}

static bool is_on_this_machine(const struct http_exchange *x)
{
    static const char *const passed_on[] = { "X-Forwarded-For", "Forwarded", "Via" };
    const char *address = x->peer.address;
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        if (http_header(x, passed_on[i]))
            return false;
    return starts_with(address, "127.") || streq(address, "::1") || starts_with(address, "::ffff:127.");
}

/* What follows "Bearer "; NULL: there is none. */
static const char *bearer(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *key = authorization + sizeof scheme - 1;
    return key + strspn(key, " ");
}

/* Without a key.  The lock is held. */
static int allow_unknown(struct keyring *r, const struct http_exchange *x, struct err *e)
{
    const char *authorization = http_header(x, "Authorization");
    bool local = is_on_this_machine(x);
    if (local && (r->keyless_local || !r->count))
        return 0;
    r->unknown++;
    if (!r->count)
        err_set(e, ERR_REFUSED, "there are no keys yet, so only programs on the server's own machine may ask; `tandem key add NAME` makes one");
    else if (!authorization)
        err_set(e, ERR_REFUSED, "a key is needed here: send it as \"Authorization: Bearer KEY\"");
    else if (!bearer(authorization))
        err_set(e, ERR_REFUSED, "the header Authorization has another scheme than Bearer: send \"Authorization: Bearer KEY\"");
    else
        err_set(e, ERR_REFUSED, "this key is not known here, or no longer");
    return 401;
}

/* ---- limits ---- */

static void say_when(struct http_exchange *x, int64_t seconds)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)(seconds < 1 ? 1 : seconds));
    http_answer_header(x, "Retry-After", text);
}

static void turn_day(struct holder *h, int64_t day)
{
    if (h->today.day != day)
        h->today = (struct key_use){ .day = day };
}

/* The lock is held. */
static int count_request(struct holder *h, struct http_exchange *x, struct err *e)
{
    const struct key_entry *k = &h->entry;
    int64_t now_ms = clock_wall_ms(), now_us = clock_steady_us();
    turn_day(h, key_day(now_ms));
    h->requests++;
    if (k->tokens_per_day && h->today.tokens >= k->tokens_per_day) {
        h->turned_away++;
        say_when(x, DAY_S - now_ms / 1000 % DAY_S);
        err_set(e, ERR_LIMIT, "the key %s has used its %lld tokens of today; the next day begins at midnight UTC", h->name,
                (long long)k->tokens_per_day);
        return 429;
    }
    if (!k->per_minute)
        return 0;
    int64_t each_us = MINUTE_US / k->per_minute, from_us = h->next_us > now_us ? h->next_us : now_us;
    int64_t wait_us = from_us + each_us - now_us - MINUTE_US;
    if (wait_us > 0) {
        h->turned_away++;
        say_when(x, (wait_us + SECOND_US - 1) / SECOND_US);
        err_set(e, ERR_LIMIT, "the key %s may make %lld requests a minute, and has made them", h->name, (long long)k->per_minute);
        return 429;
    }
    h->next_us = from_us + each_us;
    return 0;
}

int keyring_allow(struct keyring *r, struct http_exchange *x, bool counts, struct err *e)
{
    if (x->peer.local)
        return 0;
    const char *key = bearer(http_header(x, "Authorization"));
    int status = 0;
    pthread_mutex_lock(&r->lock);
    struct holder *h = key && *key ? holder_of(r, key) : NULL;
    if (!h) {
        status = allow_unknown(r, x, e);
    } else if (h->entry.expires_ms && h->entry.expires_ms <= clock_wall_ms()) {
        r->unknown++;
        status = 401;
        err_set(e, ERR_REFUSED, "the key %s has expired", h->name);
    } else {
        x->caller = h;
        status = counts ? count_request(h, x, e) : 0;
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* ---- calls ---- */

const char *keyring_name(const struct http_exchange *x)
{
    const struct holder *h = x->caller;
    return h ? h->name : "";
}

/* The lock is held. */
static bool may_name(const struct holder *h, const char *model)
{
    return !h || (!h->gone && (!h->entry.models.count || texts_has(&h->entry.models, model)));
}

bool keyring_may_name(struct keyring *r, const struct http_exchange *x, const char *model)
{
    pthread_mutex_lock(&r->lock);
    bool may = may_name(x->caller, model);
    pthread_mutex_unlock(&r->lock);
    return may;
}

int keyring_begin(struct keyring *r, struct http_exchange *x, const char *model, struct err *e)
{
    struct holder *h = x->caller;
    if (!h)
        return 0;
    int code = 0;
    pthread_mutex_lock(&r->lock);
    int64_t at_once = h->entry.at_once;
    if (!may_name(h, model)) {
        code = err_set(e, ERR_REFUSED, "the key %s may not ask \"%.100s\"", h->name, model);
    } else if (at_once && h->running >= at_once) {
        say_when(x, 1);
        code = err_set(e, ERR_BUSY, "the key %s may have %lld calls under way at once, and has", h->name, (long long)at_once);
    }
    if (code == 0)
        h->running++;
    else
        h->turned_away++;
    pthread_mutex_unlock(&r->lock);
    return code;
}

void keyring_end(struct keyring *r, const struct http_exchange *x, int64_t tokens)
{
    struct holder *h = x->caller;
    if (!h)
        return;
    pthread_mutex_lock(&r->lock);
    h->running--;
    turn_day(h, key_day(clock_wall_ms()));
    h->today.calls++;
    h->today.tokens += tokens;
    h->tokens += (uint64_t)tokens;
    pthread_mutex_unlock(&r->lock);
}

/* ---- looking ---- */

size_t keyring_look(struct keyring *r, struct arena *a, struct keyring_use **ret, uint64_t *ret_unknown)
{
    size_t count = 0;
    pthread_mutex_lock(&r->lock);
    *ret = ARENA_ARRAY(a, struct keyring_use, r->count + 1);
    for (const struct holder *h = r->holders; h; h = h->next)
        if (!h->gone)
            (*ret)[count++] = (struct keyring_use){ arena_strdup(a, h->name), h->today, h->running, h->requests, h->turned_away, h->tokens };
    *ret_unknown = r->unknown;
    pthread_mutex_unlock(&r->lock);
    return count;
}

bool keyring_today(struct keyring *r, const char *name, struct key_use *ret)
{
    pthread_mutex_lock(&r->lock);
    const struct holder *h = holder_named(r, name);
    bool there = h && !h->gone;
    if (there)
        *ret = h->today;
    pthread_mutex_unlock(&r->lock);
    return there;
}
