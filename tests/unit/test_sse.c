/* Reading server-sent events, and reasoning out of an answer, in pieces of any size. */
#include "check.h"

#include "base/str.h"
#include "http/sse.h"
#include "model/reasoning.h"

static bool note(const struct sse_event *event, void *ctx)
{
    str_addf(ctx, "[%s|%s|%.*s]", event->type, event->id, (int)event->len, event->data);
    return event->len != 4 || memcmp(event->data, "stop", 4) != 0;
}

static enum sse_state feed(const char *text, size_t piece, struct str *out)
{
    struct sse_reader r;
    sse_init(&r, 100, note, out);
    enum sse_state state = SSE_MORE;
    for (size_t len = strlen(text), at = 0; at < len && state == SSE_MORE; at += piece)
        state = sse_feed(&r, text + at, len - at < piece ? len - at : piece);
    if (state == SSE_MORE)
        state = sse_end(&r);
    sse_release(&r);
    return state;
}

static void becomes(const char *text, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        STR_LOCAL(out);
        assert_int_equal(feed(text, piece, &out), SSE_MORE);
        assert_string_equal(out.data, expected);
    }
}

static void events_are_read_as_the_standard_says(void **state)
{
    (void)state;
    becomes("data: a\n\ndata:b\n\n", "[message||a][message||b]");
    becomes("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message||a][message||b][message||c]");
    becomes("data: two\ndata:  lines\n\n", "[message||two\n lines]");
    becomes(": comment\n\nevent: ping\nid: 7\ndata\n\ndata: x\n\n", "[ping|7|][message|7|x]");
    becomes("event: nothing\n\nretry: 5\nunknown: z\n\n", "");
    becomes("\xEF\xBB\xBF" "data: after a byte order mark\n\n", "[message||after a byte order mark]");
}

static void the_last_event_may_lack_its_blank_line_but_not_its_line_end(void **state)
{
    (void)state;
    becomes("data: a\n", "[message||a]");
    becomes("data: a\n\ndata: hal", "[message||a]");
}

static void a_reader_that_has_enough_stops(void **state)
{
    (void)state;
    STR_LOCAL(out);
    assert_int_equal(feed("data: stop\n\ndata: more\n\n", 5, &out), SSE_STOPPED);
    assert_string_equal(out.data, "[message||stop]");
}

static void an_event_above_the_limit_is_refused(void **state)
{
    (void)state;
    STR_LOCAL(text);
    STR_LOCAL(out);
    str_add(&text, "data: ");
    for (int i = 0; i < 200; i++)
        str_add_char(&text, 'x');
    assert_int_equal(feed(text.data, 7, &out), SSE_TOO_LARGE);
    str_clear(&text);
    for (int i = 0; i < 50; i++)
        str_add(&text, "data: abcdef\n");
    assert_int_equal(feed(text.data, 7, &out), SSE_TOO_LARGE);
    assert_int_equal(out.len, 0);
}

/* ---- reasoning ---- */

static void show(const char *text, size_t len, void *ctx)
{
    if (text)
        str_add_bytes(ctx, text, len);
    else
        str_clear(ctx);
}

static void splits(const char *text, const char *visible, const char *hidden)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        STR_LOCAL(v);
        STR_LOCAL(h);
        STR_LOCAL(shown);
        struct reasoning r;
        reasoning_init(&r, &v, &h, show, &shown);
        for (size_t len = strlen(text), at = 0; at < len; at += piece)
            reasoning_feed(&r, text + at, len - at < piece ? len - at : piece);
        reasoning_end(&r);
        assert_string_equal(v.data, visible);
        assert_string_equal(h.data, hidden);
        assert_string_equal(shown.data, visible);
        reasoning_release(&r);
    }
}

static void reasoning_in_tags_is_taken_out(void **state)
{
    (void)state;
    splits("plain", "plain", "");
    splits("<think>a</think>b", "b", "a");
    splits("\n <think>\na\n</think>\n\nb\n", "b\n", "\na\n");
    splits("<think></think><think>c</think>b", "b", "c");
    splits("[THINK]a[/THINK]b", "b", "a");
    splits("<thinking>a < b</thinking>b", "b", "a < b");
}

static void unclosed_reasoning_is_all_reasoning(void **state)
{
    (void)state;
    splits("<think>a and so on", "", "a and so on");
}

static void reasoning_opened_in_the_prompt_is_taken_out(void **state)
{
    (void)state;
    splits("a\n```\ncode\n```\n</think>\n\nb", "b", "a\n```\ncode\n```\n");
    splits("</think>b", "b", "");
}

static void tags_that_belong_to_the_answer_stay(void **state)
{
    (void)state;
    splits("b <think>x</think>", "b <think>x</think>", "");
    splits("b\n```\n</think>\n```\n", "b\n```\n</think>\n```\n", "");
    splits("say </think> in a line", "say </think> in a line", "");
    splits("<think>a</think>b\n</think>\n", "b\n</think>\n", "a");
    splits("<thi", "<thi", "");
    splits("<thorough>", "<thorough>", "");
}

static void hostile_tags_cost_linear_time(void **state)
{
    (void)state;
    static const char *const units[] = { "<think></think>", "```\n</think>\n", "</think>", "\n", "<think>", "<" };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        STR_LOCAL(text);
        STR_LOCAL(v);
        STR_LOCAL(h);
        for (int k = 0; k < 200000; k++)
            str_add(&text, units[i]);
        struct reasoning r;
        reasoning_init(&r, &v, &h, NULL, NULL);
        reasoning_feed(&r, text.data, text.len);
        reasoning_end(&r);
        assert_true(v.len + h.len <= text.len);
        reasoning_release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_read_as_the_standard_says),
        cmocka_unit_test(the_last_event_may_lack_its_blank_line_but_not_its_line_end),
        cmocka_unit_test(a_reader_that_has_enough_stops),
        cmocka_unit_test(an_event_above_the_limit_is_refused),
        cmocka_unit_test(reasoning_in_tags_is_taken_out),
        cmocka_unit_test(unclosed_reasoning_is_all_reasoning),
        cmocka_unit_test(reasoning_opened_in_the_prompt_is_taken_out),
        cmocka_unit_test(tags_that_belong_to_the_answer_stay),
        cmocka_unit_test(hostile_tags_cost_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
