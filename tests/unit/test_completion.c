/* Chunks of a stream, joined into what a caller without a stream would have got. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "web/completion.h"

static void add(struct completion *c, const char *chunk)
{
    struct err e;
    check_ok(completion_add(c, chunk, strlen(chunk), &e), &e);
}

static json_t *take(struct completion *c, struct arena *a)
{
    STR_LOCAL(text);
    json_t *value;
    struct err e;
    assert_true(completion_take(c, &text));
    check_ok(json_parse(a, text.data, text.len, &value, &e), &e);
    return value;
}

/* With the members in the order of their names. */
static void check_is(struct completion *c, const char *expected)
{
    ARENA_LOCAL(a);
    STR_LOCAL(text);
    json_write(&text, take(c, &a));
    assert_string_equal(text.data, expected);
}

static void pieces_of_text_become_one_message(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    add(&c, "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"finish_reason\":null,"
            "\"delta\":{\"role\":\"assistant\",\"content\":null}}]}");
    add(&c, "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"content\":\"Hel\"}}]}");
    add(&c, "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"content\":\"lo\"}}]}");
    add(&c, "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":3}}");
    check_is(&c, "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{\"content\":\"Hello\",\"role\":\"assistant\"}}],"
                 "\"id\":\"x\",\"object\":\"chat.completion\",\"usage\":{\"prompt_tokens\":3}}");
    STR_LOCAL(none);
    assert_false(completion_take(&c, &none));
}

static void several_choices_are_kept_apart(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    add(&c, "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}},{\"index\":0,\"delta\":{\"content\":\"a\"}}]}");
    add(&c, "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"B\",\"reasoning_content\":\"so\"}}]}");
    check_is(&c, "{\"choices\":[{\"index\":1,\"message\":{\"content\":\"bB\",\"reasoning_content\":\"so\",\"role\":\"assistant\"}},"
                 "{\"index\":0,\"message\":{\"content\":\"a\",\"role\":\"assistant\"}}]}");
}

static void calls_of_tools_are_joined_by_their_index(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    add(&c, "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\","
            "\"function\":{\"name\":\"add\",\"arguments\":\"\"}}]}}]}");
    add(&c, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}");
    add(&c, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}},"
            "{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"sub\",\"arguments\":\"{}\"}}]}}]}");
    check_is(&c, "{\"choices\":[{\"index\":0,\"message\":{\"content\":null,\"role\":\"assistant\",\"tool_calls\":["
                 "{\"function\":{\"arguments\":\"{\\\"a\\\":1}\",\"name\":\"add\"},\"id\":\"c1\",\"type\":\"function\"},"
                 "{\"function\":{\"arguments\":\"{}\",\"name\":\"sub\"},\"id\":\"c2\"}]}}]}");
}

static void a_plain_text_and_its_probabilities_are_joined_too(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    add(&c, "{\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"on\",\"logprobs\":{\"content\":[1]}}]}");
    add(&c, "{\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"ce\",\"logprobs\":{\"content\":[2,3]},\"finish_reason\":\"stop\"}]}");
    check_is(&c, "{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"logprobs\":{\"content\":[1,2,3]},\"text\":\"once\"}],"
                 "\"object\":\"text_completion\"}");
}

static void what_was_sent_stays_as_it_was_written(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    STR_LOCAL(whole);
    add(&c, "{ \"id\" : \"\\u00e9\" , \"seen\":1e2, \"choices\":[ {\"delta\":{\"content\":\"\\u00e9\\n\"}, \"left\":null} ] }");
    add(&c, "{\"id\":null,\"seen\":9007199254740993,\"choices\":[{\"delta\":{\"content\":\"é\"},\"left\":[1 ,2]}]}");
    assert_true(completion_take(&c, &whole));
    assert_string_equal(whole.data, "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"\\u00e9\\né\",\"role\":\"assistant\"},\"left\":[1 ,2]}],"
                                    "\"id\":\"\\u00e9\",\"seen\":9007199254740993}");
}

static void what_is_no_object_is_refused_and_forgotten(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    struct err e;
    static const char *const wrong[] = { "", "[]", "{\"choices\":[}", "{} {}" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(completion_add(&c, wrong[i], strlen(wrong[i]), &e), ERR_INVALID);
    STR_LOCAL(whole);
    assert_false(completion_take(&c, &whole));
}

/* To copy what there is for each piece would be 800 GB here. */
static void a_very_long_answer_is_joined_in_linear_time(void **state)
{
    enum { PIECES = 40000, LEN = 1000 };
    (void)state;
    struct completion c = COMPLETION_INIT;
    ARENA_LOCAL(a);
    STR_LOCAL(chunk);
    str_add(&chunk, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
    for (int i = 0; i < LEN; i++)
        str_add_char(&chunk, 'x');
    str_add(&chunk, "\"}}]}");
    for (int i = 0; i < PIECES; i++)
        add(&c, chunk.data);
    json_t *value = take(&c, &a);
    const json_t *message = json_object_get(json_array_get(json_object_get(value, "choices"), 0), "message");
    assert_int_equal(json_string_length(json_object_get(message, "content")), (size_t)PIECES * LEN);
}

static void a_text_whose_object_is_replaced_is_forgotten(void **state)
{
    (void)state;
    struct completion c = COMPLETION_INIT;
    add(&c, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}}]}");
    add(&c, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]}}]}");
    add(&c, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":7}]}}]}");
    check_is(&c, "{\"choices\":[{\"index\":0,\"message\":{\"content\":null,\"role\":\"assistant\",\"tool_calls\":[{\"function\":7}]}}]}");
}

static void what_makes_no_sense_does_no_harm(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct completion c = COMPLETION_INIT;
    add(&c, "{\"choices\":7}");
    add(&c, "{\"choices\":[{\"delta\":\"x\"},3,{\"index\":-1,\"delta\":{\"tool_calls\":{\"a\":1}}}]}");
    for (int i = 0; i < 200; i++) {
        char chunk[100];
        snprintf(chunk, sizeof chunk, "{\"choices\":[{\"index\":%d,\"delta\":{\"content\":\"x\"}}]}", i);
        add(&c, chunk);
    }
    json_t *value = take(&c, &a);
    assert_true(json_array_size(json_object_get(value, "choices")) <= 64);
    add(&c, "{}");
    completion_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_text_become_one_message),
        cmocka_unit_test(several_choices_are_kept_apart),
        cmocka_unit_test(calls_of_tools_are_joined_by_their_index),
        cmocka_unit_test(a_plain_text_and_its_probabilities_are_joined_too),
        cmocka_unit_test(what_was_sent_stays_as_it_was_written),
        cmocka_unit_test(what_is_no_object_is_refused_and_forgotten),
        cmocka_unit_test(a_very_long_answer_is_joined_in_linear_time),
        cmocka_unit_test(a_text_whose_object_is_replaced_is_forgotten),
        cmocka_unit_test(what_makes_no_sense_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
