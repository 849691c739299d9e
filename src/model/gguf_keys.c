/* gguf_keys.c - the keys of a model file: which are read, and into what.
 *
 * A first pass notes where each value stands and goes over it; then the table below is read,
 * in its order.  In one pass it would not do: the names of many keys begin with the
 * architecture, which is a key itself, and nothing says that it comes first.
 */
#include "model/gguf_internal.h"

#include "base/set.h"
#include "base/str.h"
#include "base/utf8.h"

/* ---- the kinds of values ---- */

enum { VALUE_TEXT = 8, VALUE_ARRAY = 9 };

struct value_type {
    const char *name;
    int bytes;
    bool whole, negative;
};
static const struct value_type value_types[] = {
    { "a number", 1, true, false }, { "a number", 1, true, true },          /* u8, i8 */
    { "a number", 2, true, false }, { "a number", 2, true, true },          /* u16, i16 */
    { "a number", 4, true, false }, { "a number", 4, true, true },          /* u32, i32 */
    { "a fraction", 4, false, true }, { "true or false", 1, true, false },  /* f32, bool */
    { "a text", 0, false, false }, { "a list", 0, false, false },
    { "a number", 8, true, false }, { "a number", 8, true, true },          /* u64, i64 */
    { "a fraction", 8, false, true },                                       /* f64 */
};
enum { VALUE_TYPES = sizeof value_types / sizeof *value_types };

/* Where a value stands. */
struct key {
    const char *name;
    uint32_t type, item; /* item: of a list */
    uint64_t count;
    int64_t at;
};

struct keys {
    struct gguf_source *s;
    struct arena *a;
    struct key *items;
    size_t count;
};

/* ---- the first pass ---- */

/* Goes over `count` values without a list among them. */
static int skip_values(struct gguf_source *s, uint32_t type, uint64_t count)
{
    int bytes = value_types[type].bytes;
    if (bytes) {
        if (count > (uint64_t)INT64_MAX / 8)
            return gguf_damaged(s, "a list says that it has %llu values", (unsigned long long)count);
        return gguf_skip(s, count * (uint64_t)bytes);
    }
    int r = 0;
    for (uint64_t i = 0; i < count && r == 0; i++) {
        uint64_t len;
        r = gguf_take_u64(s, &len);
        if (r == 0)
            r = gguf_skip(s, len);
    }
    return r;
}

static int note_value(struct gguf_source *s, struct key *k)
{
    int r = gguf_take_u32(s, &k->type);
    k->item = k->type;
    k->count = 1;
    if (r == 0 && k->type == VALUE_ARRAY) {
        r = gguf_take_u32(s, &k->item);
        if (r == 0)
            r = gguf_take_u64(s, &k->count);
    }
    if (r < 0)
        return r;
    if (k->item >= VALUE_TYPES || k->item == VALUE_ARRAY)
        return gguf_damaged(s, "\"%s\" has a value of type %u, which there is not", k->name, k->item);
    k->at = s->at;
    return skip_values(s, k->item, k->count);
}

static char *repaired(struct arena *a, const char *text, size_t len)
{
    if (utf8_valid(text, len, NULL))
        return arena_strndup(a, text, len);
    char *out = arena_alloc(a, 3 * len + 1);
    out[utf8_repair(out, text, len)] = '\0';
    return out;
}

static int note_keys(struct keys *keys, uint64_t count)
{
    struct gguf_source *s = keys->s;
    if (count > GGUF_MAX_KEYS)
        return gguf_damaged(s, "it says that it has %llu keys, more than %d", (unsigned long long)count, GGUF_MAX_KEYS);
    struct set seen = SET_IN(keys->a);
    size_t cap = 0;
    for (uint64_t i = 0; i < count; i++) {
        char what[40], *name;
        size_t len;
        snprintf(what, sizeof what, "the name of key %llu", (unsigned long long)i + 1);
        int r = gguf_take_text(s, keys->a, GGUF_MAX_NAME, what, &name, &len);
        if (r < 0)
            return r;
        if (len == 0 || strlen(name) != len || !utf8_valid(name, len, NULL))
            return gguf_damaged(s, "%s is no text", what);
        if (!set_add(&seen, name))
            return gguf_damaged(s, "the key \"%s\" stands there twice", name);
        ARENA_GROW(keys->a, keys->items, cap, keys->count);
        struct key *k = &keys->items[keys->count++];
        *k = (struct key){ .name = name };
        r = note_value(s, k);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- reading what is wanted ---- */

enum kind {
    KIND_TEXT,   /* const char * */
    KIND_NUMBER, /* int64_t */
    KIND_EACH,   /* int64_t *, one for each layer: a list, or one number for all */
    KIND_MOST,   /* int64_t, the greatest of them */
    KIND_LENGTH, /* int64_t, how many values the list has; 0: it is none */
};

struct wanted {
    const char *key; /* ".x" is "ARCHITECTURE.x" */
    enum kind kind;
    size_t offset;   /* in struct gguf_facts */
    int64_t max;     /* of a number; of a text its bytes */
};

#define FACT(member) offsetof(struct gguf_facts, member)
#define INFO(member) offsetof(struct gguf_facts, info.member)
enum { MILLION = 1000 * 1000, BILLION = 1000 * MILLION };

/* The architecture is read before, the layers before what is one for each of them. */
static const struct wanted table[] = {
    { "general.type", KIND_TEXT, INFO(type), GGUF_MAX_NAME },
    { "general.name", KIND_TEXT, INFO(name), GGUF_MAX_NAME },
    { "general.basename", KIND_TEXT, INFO(basename), GGUF_MAX_NAME },
    { "general.size_label", KIND_TEXT, INFO(size_label), GGUF_MAX_NAME },
    { "general.file_type", KIND_NUMBER, FACT(file_type), BILLION },
    { "general.alignment", KIND_NUMBER, FACT(alignment), 1 << 30 },
    { "split.no", KIND_NUMBER, FACT(part_before), MILLION },
    { "split.count", KIND_NUMBER, FACT(parts), MILLION },
    { ".context_length", KIND_NUMBER, INFO(context), BILLION },
    { ".block_count", KIND_NUMBER, INFO(layers), GGUF_MAX_LAYERS },
    { ".embedding_length", KIND_NUMBER, INFO(embedding), MILLION },
    { ".feed_forward_length", KIND_MOST, INFO(feed_forward), 10 * MILLION },
    { ".expert_count", KIND_NUMBER, INFO(experts), MILLION },
    { ".expert_used_count", KIND_MOST, INFO(experts_used), MILLION },
    { ".expert_feed_forward_length", KIND_MOST, FACT(expert_feed_forward), MILLION },
    { ".attention.head_count", KIND_EACH, FACT(heads), MILLION },
    { ".attention.head_count_kv", KIND_EACH, FACT(kv_heads), MILLION },
    { ".attention.key_length", KIND_NUMBER, INFO(key_length), MILLION },
    { ".attention.value_length", KIND_NUMBER, INFO(value_length), MILLION },
    { ".attention.key_length_swa", KIND_NUMBER, FACT(window_key_length), MILLION },
    { ".attention.value_length_swa", KIND_NUMBER, FACT(window_value_length), MILLION },
    { ".attention.key_length_mla", KIND_NUMBER, FACT(latent_key_length), MILLION },
    { ".attention.sliding_window", KIND_NUMBER, INFO(window), BILLION },
    { ".attention.sliding_window_pattern", KIND_EACH, FACT(windowed), MILLION },
    { ".attention.sliding_window_pattern", KIND_LENGTH, FACT(windowed_listed), 0 },
    { ".attention.shared_kv_layers", KIND_NUMBER, FACT(shared_kv_layers), GGUF_MAX_LAYERS },
    { ".full_attention_interval", KIND_NUMBER, FACT(attention_interval), GGUF_MAX_LAYERS },
    { ".pooling_type", KIND_NUMBER, FACT(pooling), BILLION },
    { ".vocab_size", KIND_NUMBER, INFO(vocabulary), BILLION },
    { ".ssm.conv_kernel", KIND_NUMBER, FACT(conv_kernel), MILLION },
    { ".ssm.inner_size", KIND_NUMBER, FACT(inner_size), MILLION },
    { ".ssm.state_size", KIND_NUMBER, FACT(state_size), MILLION },
    { ".ssm.group_count", KIND_NUMBER, FACT(group_count), MILLION },
    { ".wkv.head_size", KIND_NUMBER, FACT(wkv_head_size), MILLION },
    { ".token_shift_count", KIND_NUMBER, FACT(token_shift), MILLION },
    { ".shortconv.l_cache", KIND_NUMBER, FACT(short_conv), MILLION },
    { "tokenizer.ggml.model", KIND_TEXT, INFO(tokenizer), GGUF_MAX_NAME },
    { "tokenizer.ggml.pre", KIND_TEXT, INFO(pre_tokenizer), GGUF_MAX_NAME },
    { "tokenizer.ggml.tokens", KIND_LENGTH, INFO(vocabulary), 0 },
    { "tokenizer.chat_template", KIND_TEXT, INFO(chat_template), GGUF_MAX_TEMPLATE },
};

static const struct key *find(const struct keys *keys, const char *architecture, const char *name)
{
    size_t before = name[0] == '.' ? strlen(architecture) : 0;
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = keys->items[i].name;
        if (strncmp(key, architecture, before) == 0 && streq(key + before, name))
            return &keys->items[i];
    }
    return NULL;
}

static int wrong_kind(struct keys *keys, const struct key *k, const char *wanted)
{
    keys->s->at = k->at;
    return gguf_damaged(keys->s, "\"%s\" is %s where %s should be", k->name, value_types[k->type].name, wanted);
}

static int read_text(struct keys *keys, const struct key *k, size_t max, char **ret, size_t *ret_len)
{
    if (k->type != VALUE_TEXT)
        return wrong_kind(keys, k, "a text");
    keys->s->at = k->at;
    return gguf_take_text(keys->s, keys->a, max, k->name, ret, ret_len);
}

/* One number where the source stands. */
static int take_number(struct keys *keys, const struct key *k, int64_t max, int64_t *ret)
{
    const struct value_type *type = &value_types[k->item];
    unsigned char raw[8];
    int r = gguf_take(keys->s, raw, (size_t)type->bytes);
    if (r < 0)
        return r;
    uint64_t value = type->negative && raw[type->bytes - 1] >> 7 ? UINT64_MAX : 0;
    for (int i = type->bytes - 1; i >= 0; i--)
        value = value << 8 | raw[i];
    if (value > (uint64_t)max)
        return gguf_damaged(keys->s, "\"%s\" is not in 0..%lld", k->name, (long long)max);
    *ret = (int64_t)value;
    return 0;
}

static int read_number(struct keys *keys, const struct key *k, int64_t max, int64_t *ret)
{
    if (k->type == VALUE_ARRAY || !value_types[k->type].whole)
        return wrong_kind(keys, k, "a number");
    keys->s->at = k->at;
    return take_number(keys, k, max, ret);
}

/* A list that is too short leaves 0 for the layers at the end. */
static int read_each(struct keys *keys, const struct key *k, int64_t max, int64_t layers, int64_t **ret)
{
    if (!value_types[k->item].whole)
        return wrong_kind(keys, k, "a number or a list of numbers");
    int64_t *each = ARENA_ARRAY(keys->a, int64_t, (size_t)layers + 1);
    keys->s->at = k->at;
    for (int64_t i = 0; i < layers && (uint64_t)i < k->count; i++) {
        int r = take_number(keys, k, max, &each[i]);
        if (r < 0)
            return r;
    }
    for (int64_t i = 1; i < layers && k->type != VALUE_ARRAY; i++)
        each[i] = each[0];
    *ret = each;
    return 0;
}

static int read_wanted(struct keys *keys, const struct wanted *w, const struct key *k, struct gguf_facts *f)
{
    void *to = (char *)f + w->offset;
    char *text;
    size_t len;
    int64_t *each, most = 0;
    int r = 0;
    switch (w->kind) {
    case KIND_TEXT:
        r = read_text(keys, k, (size_t)w->max, &text, &len);
        if (r == 0)
            *(const char **)to = repaired(keys->a, text, len);
        if (r == 0 && w->offset == INFO(chat_template))
            f->info.template_digest = digest_of(text, len);
        return r;
    case KIND_NUMBER:
        return read_number(keys, k, w->max, to);
    case KIND_LENGTH:
        *(int64_t *)to = k->type == VALUE_ARRAY ? (int64_t)k->count : 0;
        return 0;
    case KIND_EACH:
        return read_each(keys, k, w->max, f->info.layers, to);
    case KIND_MOST:
        r = read_each(keys, k, w->max, f->info.layers, &each);
        for (int64_t i = 0; r == 0 && i < f->info.layers; i++)
            most = each[i] > most ? each[i] : most;
        if (r == 0)
            *(int64_t *)to = most;
        return r;
    }
    return r;
}

int gguf_read_keys(struct gguf_source *s, struct arena *a, uint64_t count, struct gguf_facts *f)
{
    struct keys keys = { .s = s, .a = a };
    int r = note_keys(&keys, count);
    int64_t end = s->at;
    const struct key *k = find(&keys, "", "general.architecture");
    char *architecture = str_empty;
    size_t len = 0;
    if (r == 0 && k)
        r = read_text(&keys, k, GGUF_MAX_NAME, &architecture, &len);
    f->info.architecture = repaired(a, architecture, len);
    for (size_t i = 0; r == 0 && i < sizeof table / sizeof *table; i++) {
        k = find(&keys, f->info.architecture, table[i].key);
        if (k)
            r = read_wanted(&keys, &table[i], k, f);
    }
    s->at = end;
    return r;
}
