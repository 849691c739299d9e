/* What a model file says of itself, and whether it can be served. */
#include "check.h"
#include "gguf_fixture.h"

#include <unistd.h>

/* ---- what a file says ---- */

static void a_model_is_described(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = made_small();
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(info.version, 3);
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(info.name, "Small");
    assert_string_equal(info.size_label, "1K");
    assert_string_equal(info.quantisation, "Q4_K_M");
    assert_string_equal(info.basename, "");
    assert_int_equal(info.context, 4096);
    assert_int_equal(info.layers, 2);
    assert_int_equal(info.embedding, 64);
    assert_int_equal(info.feed_forward, 128);
    assert_int_equal(info.heads, 4);
    assert_int_equal(info.kv_heads, 2);
    assert_int_equal(info.key_length, 16);
    assert_int_equal(info.value_length, 16);
    assert_int_equal(info.layer[1].token_values, 2 * (16 + 16));
    assert_int_equal(info.vocabulary, 3);
    assert_string_equal(info.tokenizer, "gpt2");
    assert_string_equal(info.pre_tokenizer, "qwen2");
    assert_string_equal(info.chat_template, "{{ messages }}");
    assert_string_equal(info.template_digest.hex, digest_of("{{ messages }}", 14).hex);
    assert_string_equal(info.pooling, "");
    assert_int_equal(info.tensors, 2);
    assert_int_equal(info.parameters, 64 * 3 + 64);
    assert_int_equal(info.weight_bytes, 384 + 36);
    assert_int_equal(info.data_at % 32, 0);
    assert_int_equal(info.file_bytes, info.data_at + 384 + 36);
    assert_int_equal(info.parts, 1);
    struct err e;
    check_ok(gguf_require_model(&info, &e), &e);
}

static void version_2_is_read_as_well(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = made_small();
    m.version = 2;
    assert_int_equal(made_good(&a, &m).layers, 2);
}

static void the_architecture_may_come_last_and_numbers_have_any_width(void **state)
{
    (void)state;
    static const uint32_t types[] = { U8, I8, U16, I16, U32, I32, U64, I64 };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        ARENA_LOCAL(a);
        struct made m = MADE_INIT;
        made_number(&m, "qwen2.block_count", types[i], 100);
        made_number(&m, "llama.block_count", types[i], 7);
        made_number(&m, "qwen2.attention.head_count", types[i], 3);
        made_text(&m, "general.architecture", "qwen2");
        struct gguf_info info = made_good(&a, &m);
        assert_int_equal(info.layers, 100);
        assert_int_equal(info.layer[99].heads, 3);
    }
}

static void what_the_file_does_not_say_is_empty(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = MADE_INIT;
    struct gguf_info info = made_good(&a, &m);
    assert_string_equal(info.architecture, "");
    assert_string_equal(info.chat_template, "");
    assert_string_equal(info.template_digest.hex, "");
    assert_string_equal(info.quantisation, "");
    assert_int_equal(info.layers, 0);
    assert_int_equal(info.parameters, 0);
}

static void texts_that_are_not_utf8_are_repaired_and_the_digest_is_of_what_is_there(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = MADE_INIT;
    made_text(&m, "general.name", "caf\xE9");
    made_text(&m, "tokenizer.chat_template", "\xE9");
    struct gguf_info info = made_good(&a, &m);
    assert_string_equal(info.name, "caf\xEF\xBF\xBD");
    assert_string_equal(info.template_digest.hex, digest_of("\xE9", 1).hex);
}

static void without_a_file_type_the_tensors_say_how_it_is_stored(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = MADE_INIT;
    made_tensor(&m, "a", STORED_F32, 4, 1, 16);
    made_tensor(&m, "b", STORED_Q4_K, 256, 2, 288);
    assert_string_equal(made_good(&a, &m).quantisation, "Q4_K");
}

/* A file made for a server newer than this table is still described. */
static void a_type_newer_than_the_table_is_measured_by_its_neighbours(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = MADE_INIT;
    made_number(&m, "general.file_type", U32, 999);
    made_tensor(&m, "a", STORED_NEWER, 1024, 1, 640);
    made_tensor(&m, "b", STORED_F32, 4, 1, 16);
    made_tensor(&m, "c", STORED_NEWER, 1024, 1, 320);
    struct gguf_info info = made_good(&a, &m);
    assert_string_equal(info.quantisation, "type 99");
    assert_int_equal(info.parameters, 2052);
    assert_int_equal(info.weight_bytes, 640 + 16 + 320);
}

static void layers_may_differ(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct made m = MADE_INIT;
    made_text(&m, "general.architecture", "x");
    made_number(&m, "x.block_count", U32, 3);
    made_number(&m, "x.embedding_length", U32, 80);
    made_numbers(&m, "x.attention.head_count", I32, (int[]){ 8, 4, 8 }, 3);
    made_numbers(&m, "x.attention.head_count_kv", I32, (int[]){ 2, 0, 1, 5 }, 4);
    made_numbers(&m, "x.feed_forward_length", U32, (int[]){ 100, 300, 200 }, 3);
    made_number(&m, "x.attention.key_length", U32, 10);
    made_number(&m, "x.attention.value_length", U32, 6);
    struct gguf_info info = made_good(&a, &m);
    assert_int_equal(info.heads, 8);
    assert_int_equal(info.kv_heads, 2);
    assert_int_equal(info.layer[1].heads, 4);
    assert_int_equal(info.layer[0].token_values, 32);
    assert_int_equal(info.layer[1].token_values, 0);
    assert_int_equal(info.layer[2].token_values, 16);
    assert_int_equal(info.feed_forward, 300);
}

static void the_pooling_of_an_embedding_model_is_named(void **state)
{
    (void)state;
    static const char *const names[] = { "none", "mean", "cls", "last", "rank", "type 5" };
    for (int i = 0; i < 6; i++) {
        ARENA_LOCAL(a);
        struct made m = MADE_INIT;
        made_text(&m, "general.architecture", "bert");
        made_number(&m, "bert.pooling_type", U32, i);
        struct gguf_info info = made_good(&a, &m);
        assert_string_equal(info.pooling, names[i]);
        assert_true(info.encoder);
    }
}

static void where_the_descriptor_stands_does_not_matter(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct gguf_info info;
    struct made m = made_small();
    struct str s = made_bytes(&m);
    int fd = made_file(s.data, s.len);
    lseek(fd, 7, SEEK_SET);
    check_ok(gguf_read(&a, fd, &info, &e), &e);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
    close(fd);
    str_release(&s);
    made_release(&m);
}

/* ---- what can be served ---- */

static void adapter(struct made *m) { made_text(m, "general.type", "adapter"); }
static void projector(struct made *m) { made_text(m, "general.type", "mmproj"); }
static void matrix(struct made *m) { made_text(m, "general.type", "imatrix"); }
static void part(struct made *m)
{
    made_number(m, "split.no", U16, 1);
    made_number(m, "split.count", U16, 3);
}

static void what_is_no_model_by_itself_is_refused(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct made *m);
        const char *said;
    } rows[] = {
        { adapter, "LoRA" },
        { projector, "projector" },
        { matrix, "importance matrix" },
        { part, "is part 2 of 3 of one model. Join all of them first: `llama-gguf-split --merge NAME-00001-of-00003.gguf" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct made m = made_small();
        rows[i].change(&m);
        struct gguf_info info = made_good(&a, &m);
        check_err(gguf_require_model(&info, &e), ERR_REFUSED, &e, rows[i].said);
    }
}

static void what_no_server_can_load_is_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct made m = MADE_INIT;
    struct gguf_info info = made_good(&a, &m);
    check_err(gguf_require_model(&info, &e), ERR_REFUSED, &e, "general.architecture");
    info.architecture = "llama";
    check_err(gguf_require_model(&info, &e), ERR_REFUSED, &e, "vocabulary without weights");
    info.tensors = 1;
    check_err(gguf_require_model(&info, &e), ERR_REFUSED, &e, "its layers (llama.block_count)");
    info.layers = 1;
    check_err(gguf_require_model(&info, &e), ERR_REFUSED, &e, "its width (llama.embedding_length)");
    info.embedding = 1;
    check_err(gguf_require_model(&info, &e), ERR_REFUSED, &e, "its context (llama.context_length)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_described),
        cmocka_unit_test(version_2_is_read_as_well),
        cmocka_unit_test(the_architecture_may_come_last_and_numbers_have_any_width),
        cmocka_unit_test(what_the_file_does_not_say_is_empty),
        cmocka_unit_test(texts_that_are_not_utf8_are_repaired_and_the_digest_is_of_what_is_there),
        cmocka_unit_test(without_a_file_type_the_tensors_say_how_it_is_stored),
        cmocka_unit_test(a_type_newer_than_the_table_is_measured_by_its_neighbours),
        cmocka_unit_test(layers_may_differ),
        cmocka_unit_test(the_pooling_of_an_embedding_model_is_named),
        cmocka_unit_test(where_the_descriptor_stands_does_not_matter),
        cmocka_unit_test(what_is_no_model_by_itself_is_refused),
        cmocka_unit_test(what_no_server_can_load_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
