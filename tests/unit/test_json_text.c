/* The members of an object in its text: the same texts are JSON as for the parser. */
#include "check.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/str.h"

#include <stdlib.h>

static bool is_span(const char *at, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(at, text, len) == 0;
}

static void members_are_found_as_they_are_written(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct json_span *m;
    size_t count;
    static const char text[] = " {\"a\" : [1, {\"b\": \"}\"} ] ,\"\\u0062\":\"x\\\"y\", \"c\":-1.5e+3,\"a\":null}\n";
    check_ok(json_text_members(&a, text, strlen(text), &m, &count, &e), &e);
    assert_int_equal(count, 4);
    assert_true(is_span(m[0].key, m[0].key_len, "a") && is_span(m[0].text, m[0].len, "[1, {\"b\": \"}\"} ]"));
    assert_true(is_span(m[1].key, m[1].key_len, "\\u0062") && is_span(m[1].text, m[1].len, "\"x\\\"y\""));
    assert_true(is_span(m[2].text, m[2].len, "-1.5e+3"));
    assert_true(is_span(m[3].key, m[3].key_len, "a") && is_span(m[3].text, m[3].len, "null"));
    check_ok(json_text_elements(&a, m[0].text, m[0].len, &m, &count, &e), &e);
    assert_true(count == 2 && is_span(m[1].text, m[1].len, "{\"b\": \"}\"}"));
    check_ok(json_text_members(&a, "{}", 2, &m, &count, &e), &e);
    assert_int_equal(count, 0);
}

static bool parses(const char *text, size_t len)
{
    ARENA_LOCAL(a);
    json_t *value;
    return json_parse(&a, text, len, &value, NULL) == 0 && json_is_object(value);
}

static bool scans(const char *text, size_t len)
{
    ARENA_LOCAL(a);
    struct json_span *m;
    size_t count;
    return json_text_members(&a, text, len, &m, &count, NULL) == 0;
}

static void what_is_not_json_is_refused_as_by_the_parser(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", " ", "{", "}", "{}", "{} ", "{} x", "[]", "1", "\"a\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}",
        "{\"a\":01}", "{\"a\":-}", "{\"a\":-0}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}", "{\"a\":1e+}", "{\"a\":+1}", "{\"a\":1.5E-2}",
        "{\"a\":tru}", "{\"a\":true}", "{\"a\":nulll}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\\ud83d\"}", "{\"a\":\"\\ude00\"}", "{\"a\":\"\\ud83d\\u0041\"}", "{\"a\":\"\t\"}",
        "{\"a\":\"\x7f\"}", "{\"a\":\"\xc3\xa4\"}", "{\"a\":\"\xc3\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":[1 2]}",
        "{\"a\":[1,]}", "{\"a\":[[[[]]]]}", "{\"a\":{\"b\":{}}}", "{\"a\":1 \"b\":2}", "{\"a\":\"12345678901234567890\"}",
        "{\"a\":\"1234567\n\"}", "{\"a\":\"unended", "{\"a\":\"unended\\", "{\"a\":\"unended\\u", "{\"\\\"\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (parses(texts[i], strlen(texts[i])) != scans(texts[i], strlen(texts[i])))
            fail_msg("they differ on %s", texts[i]);
    assert_false(scans("{\"a\":\"\0\"}", 9));
    assert_false(scans("{}\0", 3));
}

/* Any change of a byte is judged alike. */
static void changed_bytes_are_judged_as_by_the_parser(void **state)
{
    (void)state;
    static const char text[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"s\xc3\xa4y \\\"hello\\\" \\u00e4 \\ud83d\\ude00\\n\"}],"
                               "\"n\":-12.5e3,\"stop\":[null,true,false],\"deep\":{\"a\":[[],{}]}}";
    unsigned seed = 1;
    for (int i = 0; i < 200000; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        for (int k = 0; k <= i % 2; k++) {
            seed = seed * 1103515245 + 12345;
            copy[(seed >> 8) % (sizeof text - 1)] = (char)(i % 3 ? "\"\\{}[]:,u0e.- nt"[(seed >> 20) % 16] : (int)(seed >> 20));
        }
        size_t len = i % 5 ? sizeof text - 1 : (seed >> 4) % sizeof text;
        bool parsed = parses(copy, len), scanned = scans(copy, len);
        /* The parser also refuses members that come twice and \u0000 in a name. */
        if (parsed && !scanned)
            fail_msg("%.*s is JSON", (int)len, copy);
        if (!parsed && scanned && json_loadb(copy, len, JSON_ALLOW_NUL, NULL) == NULL && !strstr(copy, "\\u0000"))
            fail_msg("%.*s is not JSON", (int)len, copy);
    }
}

/* Bytes are looked at many at once, so each has to be seen wherever it stands. */
static void every_byte_is_judged_at_every_place(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"a string of fifty bytes, more than are looked at once.\"}";
    for (size_t at = 6; at < sizeof text - 3; at++)
        for (int byte = 1; byte < 256; byte++) {
            char copy[sizeof text];
            memcpy(copy, text, sizeof text);
            copy[at] = (char)byte;
            if (parses(copy, sizeof copy - 1) != scans(copy, sizeof copy - 1))
                fail_msg("they differ on the byte %d at %zu", byte, at);
        }
}

static void depth_is_limited(void **state)
{
    (void)state;
    STR_LOCAL(text);
    str_add(&text, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        str_add_char(&text, '[');
    assert_false(scans(text.data, text.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_as_they_are_written),
        cmocka_unit_test(what_is_not_json_is_refused_as_by_the_parser),
        cmocka_unit_test(changed_bytes_are_judged_as_by_the_parser),
        cmocka_unit_test(every_byte_is_judged_at_every_place),
        cmocka_unit_test(depth_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
