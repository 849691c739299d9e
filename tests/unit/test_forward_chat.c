/* OpenAI's form of requests, taken apart, and of answers, put together. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "model/embed.h"
#include "model/forward_chat.h"

static struct arena arena;
static struct err e;

static json_t *parse(const char *text)
{
    json_t *value;
    check_ok(json_parse(&arena, text, strlen(text), &value, &e), &e);
    return value;
}

static const char *written(const json_t *value)
{
    STR_LOCAL(text);
    json_write(&text, value);
    return arena_strdup(&arena, text.data);
}

static int read_wish(const char *body, struct chat_wish *w)
{
    return chat_wish_read(&arena, parse(body), w, &e);
}

static void a_body_becomes_a_plain_wish(void **state)
{
    (void)state;
    struct chat_wish w;
    check_ok(read_wish("{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":"
                       "[{\"type\":\"text\",\"text\":\"Say \"},{\"type\":\"text\",\"text\":\"hi\"}]}],\"temperature\":0,\"seed\":7,"
                       "\"max_completion_tokens\":9,\"top_p\":0.5,\"stop\":\"END\",\"user\":\"x\",\"response_format\":{\"type\":\"json_schema\","
                       "\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}},\"stream_options\":{\"include_usage\":true}}", &w), &e);
    assert_string_equal(written(w.messages), "[{\"content\":\"Be brief.\",\"role\":\"system\"},{\"content\":\"Say hi\",\"role\":\"user\"}]");
    assert_string_equal(written(w.schema), "{\"type\":\"object\"}");
    assert_string_equal(written(w.stop), "[\"END\"]");
    assert_string_equal(written(w.sampling), "{\"top_p\":0.5}");
    assert_true(w.has_temperature && w.temperature == 0 && w.has_seed && w.seed == 7 && w.max_tokens == 9 && w.wants_usage);
    check_ok(read_wish("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[],\"response_format\":null,\"stop\":null}", &w), &e);
    assert_true(!w.has_temperature && !w.has_seed && !w.max_tokens && !w.schema && !w.stop);
}

static void what_cannot_be_had_is_refused_by_name(void **state)
{
    (void)state;
    static const struct { const char *body, *words; } bad[] = {
        { "{}", "\"messages\"" },
        { "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "role \"tool\"" },
        { "{\"messages\":[{\"role\":\"user\"}]}", "neither a text" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", "image_url" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{}]}", "cannot call tools" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":2}", "\"n\" must be 1" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true}", "probabilities" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{\"type\":\"json_schema\"}}", "no schema" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{\"type\":\"xml\"}}", "\"xml\"" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct chat_wish w;
        check_err(read_wish(bad[i].body, &w), ERR_INVALID, &e, bad[i].words);
    }
}

static bool collect(const char *bytes, size_t len, void *ctx)
{
    str_add_bytes(ctx, bytes, len);
    return true;
}

static void chunks_are_those_of_a_server(void **state)
{
    (void)state;
    STR_LOCAL(body);
    struct chunk_head h;
    struct forward_request q = { .on_body = collect, .ctx = &body };
    chunk_head_init(&h, "m");
    h.created_s = 1;
    snprintf(h.id, sizeof h.id, "x");
    json_t *chunks[] = { chunk_reasoning(&h, "hm"), chunk_text(&h, "\xC3\xA4"), chunk_finish(&h, "stop"), chunk_usage(&h, 3, 1, 2) };
    for (size_t i = 0; i < 4; i++) {
        assert_true(chunk_send(&q, chunks[i]));
        json_decref(chunks[i]);
    }
    assert_true(chunk_send_done(&q));
    assert_null(chunk_usage(&h, -1, -1, -1));
#define HEAD "\"created\":1,\"id\":\"x\",\"model\":\"m\",\"object\":\"chat.completion.chunk\""
    assert_string_equal(body.data,
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"},\"finish_reason\":null,\"index\":0}]," HEAD "}\n\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"\xC3\xA4\"},\"finish_reason\":null,\"index\":0}]," HEAD "}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"index\":0}]," HEAD "}\n\n"
        "data: {\"choices\":[]," HEAD ",\"usage\":{\"completion_tokens\":2,\"prompt_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":1},"
        "\"total_tokens\":5}}\n\n"
        "data: [DONE]\n\n");
}

static void vectors_are_written_as_numbers_or_base64(void **state)
{
    (void)state;
    float values[] = { 1, -0.5f, 0.25f, 3 };
    struct embeddings v = { .values = values, .count = 2, .dimensions = 2, .model = "m", .prompt_tokens = 4 };
    STR_LOCAL(plain);
    STR_LOCAL(coded);
    embed_answer_write(&plain, &v, false);
    embed_answer_write(&coded, &v, true);
    assert_non_null(strstr(plain.data, "\"embedding\":[1,-0.5]"));
    assert_non_null(strstr(plain.data, "\"prompt_tokens\":4"));
    assert_non_null(strstr(coded.data, "\"embedding\":\"AACAPwAAAL8=\""));
    assert_true(json_is_object(parse(plain.data)) && json_is_object(parse(coded.data)));
}

static void texts_for_vectors_are_one_or_a_list(void **state)
{
    (void)state;
    struct texts t;
    bool base64;
    check_ok(embed_wish_read(&arena, parse("{\"input\":\"one\",\"encoding_format\":\"base64\"}"), &t, &base64, &e), &e);
    assert_true(t.count == 1 && base64);
    check_ok(embed_wish_read(&arena, parse("{\"input\":[\"one\",\"two\"]}"), &t, &base64, &e), &e);
    assert_true(t.count == 2 && !base64);
    check_err(embed_wish_read(&arena, parse("{\"input\":[1,2]}"), &t, &base64, &e), ERR_INVALID, &e, "no tokens");
    check_err(embed_wish_read(&arena, parse("{}"), &t, &base64, &e), ERR_INVALID, &e, "\"input\"");
}

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_becomes_a_plain_wish),
        cmocka_unit_test(what_cannot_be_had_is_refused_by_name),
        cmocka_unit_test(chunks_are_those_of_a_server),
        cmocka_unit_test(vectors_are_written_as_numbers_or_base64),
        cmocka_unit_test(texts_for_vectors_are_one_or_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
