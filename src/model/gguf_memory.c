/* gguf_memory.c - how much memory a model will take, before it is loaded.
 *
 * Weights are what the file says.  Keys and values of a layer are, for each token that it keeps
 * and each of its heads, a key and a value (llama_kv_cache); a slot's context is rounded up to
 * 256 tokens, a windowed layer keeps its window and one batch.  Recurrent layers keep a state
 * in 32 bits for each slot.
 *
 * Intermediate results are those of one batch.  llama.cpp plans them exactly, and its planner
 * cannot be asked without loading; this formula was found by comparing: for each token of a
 * batch 4 rows as wide as the embedding and 3 as wide as the inner layer in 32 bits, which is
 * what SmolLM2 takes to the byte, one more row for each expert, and one bit mask of 16 bits for
 * each token that can be seen.  Servers of before 2026 also keep the scores of a whole batch,
 * one for each word of the vocabulary; they are counted, because nothing says which one runs.
 * It is for flash attention, which all servers turn on where they can; without, a batch takes
 * heads x context x 4 bytes more.
 *
 * What was measured beside it stands in tests/peers.
 */
#include "model/gguf_internal.h"

#include "base/str.h"

enum {
    DEFAULT_BATCH = 512,
    CELLS = 256,              /* a cache is a multiple of this */
    PROCESS_BYTES = 32 << 20, /* llama-server itself with its libraries */
    WORD_BYTES = 384,         /* of one word of the vocabulary, in several tables */
};

/* Sums and products of what is not negative, which stay at INT64_MAX. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? INT64_MAX : r;
}

static int64_t cells(int64_t tokens)
{
    return tokens > INT64_MAX - CELLS ? INT64_MAX : (tokens + CELLS - 1) / CELLS * CELLS;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Of one slot; `whole_layers`: those that keep all of it are counted too. */
static int64_t cache_bytes(const struct gguf_info *m, const struct gguf_use *use, const struct gguf_tensor_type *type,
                           bool whole_layers)
{
    int64_t whole = cells(use->context), window = cells(least(use->context, plus(m->window, use->batch)));
    int64_t sum = 0;
    for (int64_t i = 0; i < m->layers; i++) {
        const struct gguf_layer *l = &m->layer[i];
        int64_t kept = l->windowed || whole_layers ? times(l->windowed ? window : whole, l->token_values) : 0;
        int64_t bytes = kept == INT64_MAX ? INT64_MAX : kept ? times(kept / type->numbers + 1, type->bytes) : 0;
        sum = plus(sum, plus(bytes, times(l->state_values, 4)));
    }
    return sum;
}

static int64_t compute_bytes(const struct gguf_info *m, const struct gguf_use *use)
{
    int64_t numbers = plus(times(4 + m->experts_used, m->embedding), times(3, m->feed_forward));
    int64_t for_token = plus(times(plus(numbers, m->vocabulary), 4), times(cells(use->context), 2));
    return times(for_token, use->batch);
}

int gguf_memory_estimate(const struct gguf_info *info, const struct gguf_use *use, struct gguf_memory *ret, struct err *e)
{
    const char *name = use->cache_type ? use->cache_type : "f16";
    const struct gguf_tensor_type *type = gguf_tensor_type_named(name);
    if (!type)
        return err_set(e, ERR_INVALID, "there is no way of storing keys and values that is called \"%s\"; f16, q8_0 and q4_0 are some", name);
    struct gguf_use u = {
        .context = use->context > 0 ? use->context : info->context,
        .slots = use->slots > 0 ? use->slots : 1,
        .batch = use->batch > 0 ? use->batch : DEFAULT_BATCH,
    };
    struct gguf_memory m = {
        .weights = info->weight_bytes,
        .cache = times(cache_bytes(info, &u, type, true), u.slots),
        .checkpoint = cache_bytes(info, &u, type, false),
        .compute = compute_bytes(info, &u),
        .process = plus(PROCESS_BYTES, times(WORD_BYTES, info->vocabulary)),
    };
    m.total = plus(plus(m.weights, m.cache), plus(m.compute, m.process));
    *ret = m;
    return 0;
}
