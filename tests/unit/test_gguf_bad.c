/* Files that are cut off, damaged, or no model files at all. */
#include "check.h"
#include "gguf_fixture.h"

#include <unistd.h>

/* ---- what is no model file ---- */

static void other_files_are_named_for_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *said;
    } rows[] = {
#define ROW(bytes, said) { bytes, sizeof(bytes) - 1, said }
        ROW("", "the file is empty"),
        ROW("GG", "begins with 47 47"),
        ROW("\xEF\xBB\xBF \n<!DOCTYPE HTML>", "web page"),
        ROW("<html lang=en>", "web page"),
        ROW("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ROW("{\"error\": 404}", "JSON"),
        ROW("\x40\1\0\0\0\0\0\0{\"__metadata__\"", "safetensors"),
        ROW("PK\3\4......", "PyTorch"),
        ROW("\x80\2}q", "PyTorch"),
        ROW("lmgg....", "before GGUF"),
        ROW("tjgg....", "before GGUF"),
        ROW("\x1f\x8b\x08.", "gzip"),
        ROW("\x28\xb5\x2f\xfd", "zstd"),
        ROW("\x7f" "ELF", "llamafile"),
        ROW("\0\0\0\0\0\0\0\0\0\0\0\0", "only begun"),
        ROW("what is this", "begins with 77 68 61 74 20 69 73 20"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct gguf_info info;
        check_err(made_read_bytes(&a, rows[i].bytes, rows[i].len, &info, &e), ERR_INVALID, &e, rows[i].said);
        assert_non_null(strstr(e.text, "is no GGUF model"));
    }
}

static void what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct gguf_info info;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    check_err(gguf_read(&a, ends[0], &info, &e), ERR_INVALID, &e, "no regular file");
    close(ends[0]);
    close(ends[1]);
}

static void other_versions_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        uint32_t version;
        const char *said;
    } rows[] = { { 1, "nothing reads any more" }, { 0, "version 0" }, { 4, "A newer one is needed" }, { 3u << 24, "big-endian" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct gguf_info info;
        STR_LOCAL(s);
        str_add(&s, "GGUF");
        made_put(&s, rows[i].version, 4);
        made_put(&s, 0, 8);
        made_put(&s, 0, 8);
        check_err(made_read_bytes(&a, s.data, s.len, &info, &e), ERR_INVALID, &e, rows[i].said);
    }
}

/* ---- what is cut off ---- */

static void a_file_cut_off_anywhere_is_told(void **state)
{
    (void)state;
    struct made m = made_small();
    struct str s = made_bytes(&m);
    for (size_t len = 4; len < s.len; len++) {
        ARENA_LOCAL(a);
        struct err e;
        struct gguf_info info = { .layers = 77 };
        check_err(made_read_bytes(&a, s.data, len, &info, &e), ERR_CORRUPT, &e, "is cut off");
        assert_int_equal(info.layers, 77);
    }
    str_release(&s);
    made_release(&m);
}

static void the_missing_bytes_are_counted(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct gguf_info info;
    struct made m = made_small();
    struct str s = made_bytes(&m);
    char said[80];
    snprintf(said, sizeof said, "100 of %zu bytes are missing", s.len);
    check_err(made_read_bytes(&a, s.data, s.len - 100, &info, &e), ERR_CORRUPT, &e, said);
    str_add(&s, "more than there should be");
    check_ok(made_read_bytes(&a, s.data, s.len, &info, &e), &e);
    str_release(&s);
    made_release(&m);
}

/* ---- what is damaged ---- */

static void twice(struct made *m) { made_number(m, "llama.block_count", U32, 2); }
static void no_name(struct made *m) { made_text(m, "", "x"); }
static void strange_type(struct made *m) { made_key(m, "x", 13); }
static void strange_list(struct made *m) { made_list(m, "x", 77, 0); }
static void nested(struct made *m) { made_list(m, "x", LIST, 0); }
static void endless_list(struct made *m) { made_list(m, "x", U64, UINT64_MAX / 4); }
static void long_list(struct made *m) { made_list(m, "x", TEXT, 1u << 30); }
static void endless_text(struct made *m) { made_key(m, "x", TEXT); made_put(&m->keys, UINT64_MAX, 8); }
static void negative(struct made *m) { made_number(m, "llama.expert_count", I32, -1); }
static void enormous(struct made *m) { made_number(m, "llama.expert_count", U64, -1); }
static void fraction(struct made *m) { made_number(m, "llama.expert_count", F32, 0); }
static void not_text(struct made *m) { made_number(m, "general.basename", U32, 5); }
static void listed(struct made *m) { made_numbers(m, "llama.expert_count", U32, (int[]){ 1 }, 1); }
static void words(struct made *m) { made_list(m, "llama.attention.key_length", TEXT, 0); }
static void odd_alignment(struct made *m) { made_number(m, "general.alignment", U32, 24); }
static void no_alignment(struct made *m) { made_number(m, "general.alignment", U32, 0); }
static void many_keys(struct made *m) { m->key_count = 1u << 20; }
static void many_tensors(struct made *m) { m->tensor_count = 1u << 20; }
static void same_tensor(struct made *m) { made_tensor(m, "blk.0.attn_k.weight", STORED_F32, 1, 1, 4); }
static void ugly_tensor(struct made *m) { made_tensor(m, "a\nb", STORED_F32, 1, 1, 4); }
static void gap(struct made *m) { made_tensor_at(m, "t", STORED_F32, 1, 1, m->weights + 32); }
static void overlap(struct made *m) { made_tensor_at(m, "t", STORED_F32, 1, 1, 0); }
static void odd_row(struct made *m) { made_tensor(m, "t", STORED_Q4_0, 33, 1, 36); }
static void no_type(struct made *m) { made_tensor(m, "t", 5000, 32, 1, 36); }
static void vast(struct made *m) { made_tensor(m, "t", STORED_F32, UINT64_MAX, UINT64_MAX, 4); }
static void vast_bytes(struct made *m) { made_tensor(m, "t", STORED_F32, 1ull << 58, 1, 4); }
static void deep(struct made *m)
{
    made_put_text(&m->tensors, "t");
    made_put(&m->tensors, 5, 4);
    m->tensor_count++;
}

static void damage_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        void (*damage)(struct made *m);
        const char *said;
    } rows[] = {
        { twice, "\"llama.block_count\" stands there twice" },
        { no_name, "the name of key 15 is no text" },
        { strange_type, "\"x\" has a value of type 13" },
        { strange_list, "\"x\" has a value of type 77" },
        { nested, "\"x\" has a value of type 9" },
        { endless_list, "4611686018427387903 values" },
        { negative, "\"llama.expert_count\" is not in 0..1000000" },
        { enormous, "\"llama.expert_count\" is not in 0..1000000" },
        { fraction, "\"llama.expert_count\" is a fraction where a number should be" },
        { not_text, "\"general.basename\" is a number where a text should be" },
        { listed, "\"llama.expert_count\" is a list where" },
        { words, "\"llama.attention.key_length\" is a list where" },
        { odd_alignment, "alignment is 24" },
        { no_alignment, "alignment is 0" },
        { many_keys, "1048576 keys" },
        { many_tensors, "1048576 tensors" },
        { same_tensor, "\"blk.0.attn_k.weight\" stands there twice" },
        { ugly_tensor, "the name of tensor 3 is no text" },
        { gap, "\"t\" stands at 480, where 448" },
        { overlap, "\"t\" stands at 0, where 448" },
        { odd_row, "rows of 33, no multiple of 32 (Q4_0)" },
        { no_type, "type 5000" },
        { vast, "\"t\" is larger than anything" },
        { deep, "\"t\" has 5 dimensions" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct gguf_info info;
        struct made m = made_small();
        rows[i].damage(&m);
        check_err(made_read(&a, &m, &info, &e), ERR_CORRUPT, &e, rows[i].said);
        assert_non_null(strstr(e.text, "is damaged: "));
        assert_non_null(strstr(e.text, "before byte"));
    }
}

/* A length that is damaged looks like a file that ends too early. */
static void lengths_beyond_the_end_cost_no_memory(void **state)
{
    (void)state;
    static void (*const damages[])(struct made *) = { endless_text, long_list, vast_bytes };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct gguf_info info;
        struct made m = made_small();
        damages[i](&m);
        check_err(made_read(&a, &m, &info, &e), ERR_CORRUPT, &e, "is cut off");
    }
}

static void long_texts_are_refused(void **state)
{
    (void)state;
    STR_LOCAL(line);
    while (line.len <= GGUF_MAX_TEMPLATE)
        str_add(&line, "0123456789abcdef");
    static const char *const keys[] = { "general.name", "tokenizer.chat_template" };
    for (size_t i = 0; i < 2; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct gguf_info info;
        struct made m = MADE_INIT;
        made_text(&m, keys[i], line.data);
        check_err(made_read(&a, &m, &info, &e), ERR_CORRUPT, &e, keys[i]);
    }
}

/* A file of any size costs no more than the bound. */
static void what_stands_before_the_weights_is_bounded(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct gguf_info info;
    struct made m = MADE_INIT;
    made_list(&m, "x", U8, 1ull << 40);
    struct str s = made_bytes(&m);
    int fd = made_file(s.data, s.len);
    assert_int_equal(ftruncate(fd, 1ll << 41), 0);
    check_err(gguf_read(&a, fd, &info, &e), ERR_CORRUPT, &e, "more than 256 MiB");
    close(fd);
    str_release(&s);
    made_release(&m);
}

static void types_that_were_given_up_say_so(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct gguf_info info;
    struct made m = made_small();
    made_tensor(&m, "t", STORED_Q4_2, 32, 1, 18);
    check_err(made_read(&a, &m, &info, &e), ERR_INVALID, &e, "stored as Q4_2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_files_are_named_for_what_they_are),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(other_versions_are_told_apart),
        cmocka_unit_test(a_file_cut_off_anywhere_is_told),
        cmocka_unit_test(the_missing_bytes_are_counted),
        cmocka_unit_test(damage_is_told_with_its_place),
        cmocka_unit_test(lengths_beyond_the_end_cost_no_memory),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(what_stands_before_the_weights_is_bounded),
        cmocka_unit_test(types_that_were_given_up_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
