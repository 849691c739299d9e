/* gguf_shape.c - what each layer keeps of a conversation.
 *
 * Source: llama_hparams and the load_arch_hparams of each model in llama.cpp.  Where a file
 * leaves out what llama.cpp knows by the architecture's name, the tables below say it; for an
 * architecture that is not in them every layer is taken to keep everything, which is too much
 * rather than too little.
 */
#include "model/gguf_internal.h"

#include "base/str.h"

/* Of every `length` layers all but one see a window only: the last, or the first. */
struct pattern {
    const char *architecture;
    int length;
    bool full_first;
};
static const struct pattern patterns[] = {
    { "afmoe", 4, false },      { "cohere2", 4, false },     { "cohere2moe", 4, true }, { "exaone-moe", 4, false },
    { "exaone4", 4, false },    { "gemma2", 2, false },      { "gemma3", 6, false },    { "gemma3n", 5, false },
    { "gpt-oss", 2, false },    { "laguna", 4, true },       { "llama4", 4, false },    { "mellum", 4, false },
    { "olmo2", 4, false },      { "plamo3", 8, false },      { "smallthinker", 4, true },
};

/* They see the whole text at once and keep nothing. */
static const char *const encoders[] = {
    "bert", "dream", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "llada", "llada-moe",
    "modern-bert", "neo-bert", "nomic-bert", "nomic-bert-moe", "rnd1", "wavtokenizer-dec",
};

static bool is_encoder(const char *architecture)
{
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders; i++)
        if (streq(encoders[i], architecture))
            return true;
    return false;
}

static struct pattern pattern_of(const struct gguf_facts *f)
{
    struct pattern none = { "", 1, false };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (streq(patterns[i].architecture, f->info.architecture)) {
            struct pattern p = patterns[i];
            if (f->windowed && f->info.layers > 0 && f->windowed[0] > 0)
                p.length = (int)f->windowed[0];
            return p;
        }
    return none;
}

static bool is_windowed(const struct gguf_facts *f, int64_t i)
{
    if (f->info.window == 0)
        return false;
    if (f->windowed && f->windowed_listed)
        return f->windowed[i] != 0;
    struct pattern p = pattern_of(f);
    return p.full_first ? i % p.length != 0 : i % p.length < p.length - 1;
}

/* Of a recurrent layer, whatever its kind. */
static int64_t state_of(const struct gguf_facts *f)
{
    int64_t embedding = f->info.embedding;
    if (f->wkv_head_size)
        return embedding * (f->token_shift ? f->token_shift : 2) + embedding * f->wkv_head_size;
    if (f->short_conv)
        return embedding * (f->short_conv - 1);
    int64_t before = f->conv_kernel ? f->conv_kernel - 1 : 0;
    return before * (f->inner_size + 2 * f->group_count * f->state_size) + f->state_size * f->inner_size;
}

static int64_t heads_of(const int64_t *each, int64_t i, int64_t otherwise)
{
    return each ? each[i] : otherwise;
}

static bool is_recurrent(const struct gguf_facts *f, int64_t i)
{
    const struct gguf_layer *l = &f->info.layer[i];
    return l->kv_heads == 0 || (f->attention_interval && (i + 1) % f->attention_interval != 0);
}

static void find_layer(struct gguf_facts *f, int64_t i, int64_t state)
{
    struct gguf_info *m = &f->info;
    struct gguf_layer *l = &m->layer[i];
    l->windowed = is_windowed(f, i);
    if (m->encoder)
        return;
    if (state && is_recurrent(f, i)) {
        l->state_values = state;
        return;
    }
    int64_t key = l->windowed && f->window_key_length ? f->window_key_length : m->key_length;
    int64_t value = l->windowed && f->window_value_length ? f->window_value_length : m->value_length;
    if (i < m->layers - f->shared_kv_layers)
        l->token_values = l->kv_heads * (key + (m->latent ? 0 : value));
}

/* Layers that do both keep both (Falcon H1): where none is recurrent alone, all are. */
static void find_states(struct gguf_info *m, int64_t state)
{
    for (int64_t i = 0; i < m->layers; i++)
        if (m->layer[i].state_values)
            return;
    for (int64_t i = 0; i < m->layers && !m->encoder; i++)
        m->layer[i].state_values = state;
}

void gguf_find_shape(struct arena *a, struct gguf_facts *f)
{
    struct gguf_info *m = &f->info;
    m->layer = ARENA_ARRAY(a, struct gguf_layer, (size_t)m->layers + 1);
    for (int64_t i = 0; i < m->layers; i++) {
        struct gguf_layer *l = &m->layer[i];
        l->heads = heads_of(f->heads, i, 0);
        l->kv_heads = heads_of(f->kv_heads, i, l->heads);
        m->heads = l->heads > m->heads ? l->heads : m->heads;
        m->kv_heads = l->kv_heads > m->kv_heads ? l->kv_heads : m->kv_heads;
    }
    int64_t share = m->heads ? m->embedding / m->heads : 0;
    m->key_length = m->key_length ? m->key_length : share;
    m->value_length = m->value_length ? m->value_length : share;
    m->latent = f->latent_key_length > 0;
    m->encoder = is_encoder(m->architecture);
    int64_t state = state_of(f);
    for (int64_t i = 0; i < m->layers; i++)
        find_layer(f, i, state);
    find_states(m, state);
    int64_t experts = m->experts_used * f->expert_feed_forward;
    m->feed_forward = m->feed_forward > experts ? m->feed_forward : experts;
}
