/* What a model takes, compared with what llama-server says it takes. */
#include "check.h"
#include "gguf_fixture.h"

/* ---- memory ---- */

enum { MIB = 1 << 20 };

static struct gguf_memory estimate(const struct gguf_info *info, struct gguf_use use)
{
    struct err e;
    struct gguf_memory m;
    check_ok(gguf_memory_estimate(info, &use, &m, &e), &e);
    return m;
}

/* Keys of one architecture. */
static struct made of(const char *architecture, int layers, int context, int embedding, int heads, int kv_heads)
{
    struct made m = MADE_INIT;
    const struct {
        const char *name;
        int value;
    } keys[] = { { "block_count", layers },
                 { "context_length", context },
                 { "embedding_length", embedding },
                 { "feed_forward_length", 1536 },
                 { "attention.head_count", heads },
                 { "attention.head_count_kv", kv_heads } };
    made_text(&m, "general.architecture", architecture);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s.%s", architecture, keys[i].name);
        made_number(&m, name, U32, keys[i].value);
    }
    return m;
}

/* SmolLM2-135M, in the numbers that llama-server logs. */
static void keys_and_values_take_what_the_server_logs(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("llama", 30, 8192, 576, 9, 3);
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(estimate(&info, (struct gguf_use){ .context = 2048 }).cache / MIB, 45);
    assert_int_equal(estimate(&info, (struct gguf_use){ 0 }).cache / MIB, 180);
    assert_int_equal(estimate(&info, (struct gguf_use){ .slots = 4 }).cache / MIB, 720);
    assert_int_equal(estimate(&info, (struct gguf_use){ .cache_type = "Q8_0" }).cache / MIB, 95);
    assert_int_equal(estimate(&info, (struct gguf_use){ .context = 2048 }).compute, 31 * MIB / 2);
    assert_int_equal(estimate(&info, (struct gguf_use){ .batch = 2048 }).compute, 86 * MIB);
}

static void a_context_is_rounded_up_as_the_server_does(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("llama", 30, 8192, 576, 9, 3);
    struct gguf_info info = made_good(&a, &m);
    int64_t cache = estimate(&info, (struct gguf_use){ .context = 256 }).cache;
    assert_int_equal(estimate(&info, (struct gguf_use){ .context = 1 }).cache, cache);
    assert_true(estimate(&info, (struct gguf_use){ .context = 257 }).cache > cache * 3 / 2);
}

static void the_total_is_the_sum(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made made = made_small();
    struct gguf_info info = made_good(&a, &made);
    struct gguf_memory m = estimate(&info, (struct gguf_use){ 0 });
    assert_int_equal(m.weights, 384 + 36);
    assert_int_equal(m.total, m.weights + m.cache + m.compute + m.process);
}

/* Gemma 3: of six layers five see a window. */
static void layers_with_a_window_keep_only_that(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("gemma3", 12, 32768, 512, 4, 2);
    made_number(&m, "gemma3.attention.sliding_window", U32, 512);
    struct gguf_info info = made_good(&a, &m);
    assert_true(info.layer[4].windowed);
    assert_false(info.layer[5].windowed);
    int64_t token = 2 * 2 * 128 * 2; /* keys and values, heads, numbers, bytes */
    int64_t cache = estimate(&info, (struct gguf_use){ 0 }).cache;
    int64_t expected = (2 * 32768 + 10 * 1024) * token;
    assert_in_range(cache - expected, 0, 100);
}

static void the_pattern_of_windows_may_be_a_number_or_a_list(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("cohere2", 4, 4096, 512, 4, 2);
    made_number(&m, "cohere2.attention.sliding_window", U32, 512);
    made_number(&m, "cohere2.attention.sliding_window_pattern", U32, 2);
    struct gguf_info info = made_good(&a, &m);
    assert_true(info.layer[0].windowed && !info.layer[1].windowed && info.layer[2].windowed && !info.layer[3].windowed);
    m = of("new", 3, 4096, 512, 4, 2);
    made_number(&m, "new.attention.sliding_window", U32, 512);
    made_numbers(&m, "new.attention.sliding_window_pattern", BOOL, (int[]){ 1, 0, 1 }, 3);
    info = made_good(&a, &m);
    assert_true(info.layer[0].windowed && !info.layer[1].windowed && info.layer[2].windowed);
}

/* Mistral's files name a window that no server applies any more. */
static void a_window_without_a_known_pattern_is_not_counted_on(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("llama", 2, 4096, 512, 4, 2);
    made_number(&m, "llama.attention.sliding_window", U32, 512);
    struct gguf_info info = made_good(&a, &m);
    assert_false(info.layer[0].windowed || info.layer[1].windowed);
}

/* Qwen 3.5: three layers of four keep a state. */
static void recurrent_layers_keep_a_state_and_no_tokens(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("qwen35", 8, 4096, 512, 4, 2);
    made_number(&m, "qwen35.full_attention_interval", U32, 4);
    made_number(&m, "qwen35.ssm.conv_kernel", U32, 4);
    made_number(&m, "qwen35.ssm.inner_size", U32, 1024);
    made_number(&m, "qwen35.ssm.state_size", U32, 128);
    made_number(&m, "qwen35.ssm.group_count", U32, 16);
    struct gguf_info info = made_good(&a, &m);
    int64_t states = 3 * (1024 + 2 * 16 * 128) + 128 * 1024;
    assert_int_equal(info.layer[0].state_values, states);
    assert_int_equal(info.layer[0].token_values, 0);
    assert_int_equal(info.layer[3].state_values, 0);
    assert_int_equal(info.layer[3].token_values, 2 * 2 * 128);
    int64_t cache = estimate(&info, (struct gguf_use){ .slots = 2 }).cache;
    assert_in_range(cache - 2 * (6 * states * 4 + 2ll * 4096 * 512 * 2), 0, 100);
}

static void layers_of_both_kinds_keep_both(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("falcon-h1", 2, 4096, 512, 4, 2);
    made_number(&m, "falcon-h1.ssm.inner_size", U32, 1024);
    made_number(&m, "falcon-h1.ssm.state_size", U32, 128);
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(info.layer[1].state_values, 128 * 1024);
    assert_int_equal(info.layer[1].token_values, 512);
}

/* DeepSeek 2: keys and values are one row of 576. */
static void latent_keys_and_values_are_kept_once(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("deepseek2", 1, 4096, 2048, 16, 1);
    made_number(&m, "deepseek2.attention.key_length", U32, 576);
    made_number(&m, "deepseek2.attention.value_length", U32, 512);
    made_number(&m, "deepseek2.attention.key_length_mla", U32, 192);
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(info.layer[0].token_values, 576);
}

static void the_last_layers_may_use_the_keys_of_others(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("gemma3n", 6, 4096, 512, 4, 2);
    made_number(&m, "gemma3n.attention.shared_kv_layers", U32, 2);
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(info.layer[3].token_values, 512);
    assert_int_equal(info.layer[4].token_values, 0);
}

static void a_checkpoint_holds_windows_and_states_only(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made whole = of("llama", 2, 4096, 512, 4, 2);
    struct gguf_info info = made_good(&a, &whole);
    assert_int_equal(estimate(&info, (struct gguf_use){ 0 }).checkpoint, 0);
    struct made both = of("falcon-h1", 2, 4096, 512, 4, 2);
    made_number(&both, "falcon-h1.ssm.inner_size", U32, 1024);
    made_number(&both, "falcon-h1.ssm.state_size", U32, 128);
    info = made_good(&a, &both);
    assert_int_equal(estimate(&info, (struct gguf_use){ .slots = 4 }).checkpoint, 2 * 128 * 1024 * 4);
}

static void an_encoder_keeps_nothing(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("nomic-bert", 12, 2048, 768, 12, 12);
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(estimate(&info, (struct gguf_use){ 0 }).cache / MIB, 0);
}

static void numbers_beyond_reason_stay_at_the_greatest(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = of("llama", 1000, 1000000000, 1000000, 1, 1000000);
    made_number(&m, "llama.attention.key_length", U32, 1000000);
    struct gguf_info info = made_good(&a, &m);
    struct gguf_memory got = estimate(&info, (struct gguf_use){ .slots = 1000, .context = INT64_MAX, .batch = INT64_MAX });
    assert_int_equal(got.cache, INT64_MAX);
    assert_int_equal(got.compute, INT64_MAX);
    assert_int_equal(got.total, INT64_MAX);
    assert_int_equal(estimate(&info, (struct gguf_use){ .slots = INT64_MAX }).total, INT64_MAX);
}

static void a_cache_type_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct gguf_info info = { 0 };
    struct gguf_use use = { .cache_type = "q4_2" };
    struct gguf_memory m;
    check_err(gguf_memory_estimate(&info, &use, &m, &e), ERR_INVALID, &e, "\"q4_2\"; f16, q8_0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_take_what_the_server_logs),
        cmocka_unit_test(a_context_is_rounded_up_as_the_server_does),
        cmocka_unit_test(the_total_is_the_sum),
        cmocka_unit_test(layers_with_a_window_keep_only_that),
        cmocka_unit_test(the_pattern_of_windows_may_be_a_number_or_a_list),
        cmocka_unit_test(a_window_without_a_known_pattern_is_not_counted_on),
        cmocka_unit_test(recurrent_layers_keep_a_state_and_no_tokens),
        cmocka_unit_test(layers_of_both_kinds_keep_both),
        cmocka_unit_test(latent_keys_and_values_are_kept_once),
        cmocka_unit_test(the_last_layers_may_use_the_keys_of_others),
        cmocka_unit_test(a_checkpoint_holds_windows_and_states_only),
        cmocka_unit_test(an_encoder_keeps_nothing),
        cmocka_unit_test(numbers_beyond_reason_stay_at_the_greatest),
        cmocka_unit_test(a_cache_type_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
