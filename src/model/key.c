/* key.c - the documents of keys.
 *
 * The log says who made or removed which key and what it allows; not even the digest is in it,
 * for a log is passed on more readily than a home.
 */
#include "model/key.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#include <sys/random.h>

enum { RANDOM_BYTES = 32, MAX_NAME = 60, DAY_MS = 86400000 };
#define PREFIX "tandem-"

#define KEY(member, kind, ...) FIELD(struct key_entry, member, kind, __VA_ARGS__)
static const struct field key_fields[] = {
    KEY(id, FIELD_TEXT, .required = true, .max = MAX_NAME),
    KEY(digest, FIELD_TEXT, .required = true, .max = DIGEST_HEX_LEN),
    KEY(models, FIELD_TEXTS, .max = 1000, .doc = "models and roles that it may name; none: all"),
    KEY(per_minute, FIELD_INT, .min = 0, .max = 1000000, .doc = "requests"),
    KEY(tokens_per_day, FIELD_INT, .min = 0, .max = 1000000000000, .doc = "read and written"),
    KEY(at_once, FIELD_INT, .min = 0, .max = 10000, .doc = "calls under way"),
    KEY(created_ms, FIELD_INT),
    KEY(expires_ms, FIELD_INT),
};
const struct record key_record = RECORD("key", struct key_entry, key_fields);
const struct doc_type key_type = { "gate_key", &key_record };

static const struct field use_fields[] = {
    FIELD(struct key_use, day, FIELD_INT),
    FIELD(struct key_use, calls, FIELD_INT),
    FIELD(struct key_use, tokens, FIELD_INT),
};
static const struct record use_record = RECORD("key_use", struct key_use, use_fields);
const struct doc_type key_use_type = { "key_use", &use_record };

void key_make(char ret[KEY_LEN + 1])
{
    unsigned char raw[RANDOM_BYTES];
    if (getrandom(raw, sizeof raw, 0) != sizeof raw)
        abort(); /* so few bytes it gives at once, or never */
    size_t at = strlen(PREFIX);
    memcpy(ret, PREFIX, at);
    for (size_t i = 0; i < sizeof raw; i++) {
        ret[at++] = "0123456789abcdef"[raw[i] >> 4];
        ret[at++] = "0123456789abcdef"[raw[i] & 15];
    }
    ret[at] = '\0';
}

int64_t key_day(int64_t wall_ms)
{
    return wall_ms / DAY_MS;
}

int keys_load(struct store *s, struct arena *a, struct records *ret, struct err *e)
{
    struct store_found found;
    int r = store_find(s, a, &key_type, NULL, &found, e);
    if (r == 0)
        *ret = (struct records){ found.docs, found.count };
    return r;
}

static bool is_name(const char *id)
{
    static const char characters[] = "-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t len = strlen(id);
    return len && len <= MAX_NAME && strspn(id, characters) == len && !strchr("-._", *id);
}

static void put_event(struct batch *b, struct arena *a, const char *kind, const char *person, const struct key_entry *k)
{
    json_t *payload = json_keep(a, record_write(&key_record, k));
    json_object_del(payload, "digest");
    batch_event(b, &(struct event){ .actor = person, .kind = kind, .payload_json = payload });
}

int key_add(struct store *s, const struct key_entry *k, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    int64_t count;
    struct key_entry there;
    if (!is_name(k->id))
        return err_set(e, ERR_INVALID, "\"%.100s\" is no name for a key: a letter or digit, then letters, digits, '.', '_' and '-', at most %d",
                       k->id, MAX_NAME);
    int r = store_get(s, &a, &key_type, k->id, &there, NULL, NULL);
    if (r == 0)
        return err_set(e, ERR_EXISTS, "there is a key \"%s\" already; `tandem key rm %s` takes it away", k->id, k->id);
    r = store_count(s, &key_type, NULL, &count, e);
    if (r == 0 && count >= MAX_KEYS)
        r = err_set(e, ERR_LIMIT, "there are %lld keys already, which is the most", (long long)count);
    if (r < 0)
        return r;
    struct batch *b = batch_new();
    batch_insert(b, &key_type, k->id, k);
    put_event(b, &a, "key.added", person, k);
    r = store_commit(s, b, NULL, e);
    batch_free(b);
    return r;
}

int key_remove(struct store *s, const char *id, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct key_entry k;
    struct key_use use;
    int64_t version, use_version;
    int r = store_get(s, &a, &key_type, id, &k, &version, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, r, "there is no key \"%.100s\"; `tandem key list` shows what there is", id);
    if (r < 0)
        return r;
    struct batch *b = batch_new();
    batch_delete(b, &key_type, id, version);
    if (store_get(s, &a, &key_use_type, id, &use, &use_version, NULL) == 0)
        batch_delete(b, &key_use_type, id, use_version);
    put_event(b, &a, "key.removed", person, &k);
    r = store_commit(s, b, NULL, e);
    batch_free(b);
    return r;
}
