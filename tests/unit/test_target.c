/* Request targets and the patterns of routes. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "http/target.h"

static void check_target(const char *raw, const char *expected)
{
    ARENA_LOCAL(a);
    STR_LOCAL(seen);
    struct target t;
    const char *why = target_parse(&a, raw, &t);
    if (why)
        str_addf(&seen, "refused: %s", why);
    for (size_t i = 0; !why && i < t.segment_count; i++)
        str_addf(&seen, "[%s]", t.segments[i]);
    for (size_t i = 0; !why && i < t.query_count; i++)
        str_addf(&seen, " %s=%s", t.query[i].name, t.query[i].value);
    if (!streq(seen.data, expected))
        fail_msg("%s: \"%s\", not \"%s\"", raw, seen.data, expected);
}

static void a_target_is_cut_before_it_is_decoded(void **state)
{
    (void)state;
    check_target("/", "");
    check_target("/a/b", "[a][b]");
    check_target("/a/b/", "[a][b][]");
    check_target("/a%2Fb/%63", "[a/b][c]");
    check_target("/a+b", "[a+b]");
    check_target("/a?b=c&d=e%26f%3Dg&h", "[a] b=c d=e&f=g h=");
    check_target("/a?b+c=d+e%2B", "[a] b c=d e+");
    check_target("/a?&&b=c=d&", "[a] b=c=d");
    check_target("/a?=b", "[a] =b");
    check_target("/a?", "[a]");
    check_target("/%E2%82%AC?x=%f0%9f%99%82", "[€] x=🙂");
    check_target("/...", "[...]");
    check_target("/a..b", "[a..b]");
    check_target("/?a=../..", " a=../..");
}

static void what_is_no_text_or_no_path_is_refused(void **state)
{
    (void)state;
    check_target("", "refused: it is not a path");
    check_target("*", "refused: it is not a path");
    check_target("http://h/a", "refused: it is not a path");
    check_target("//h/a", "refused: an empty segment");
    check_target("/a//b", "refused: an empty segment");
    check_target("/a b", "refused: a character that must be encoded");
    check_target("/a#b", "refused: a character that must be encoded");
    check_target("/\\", "refused: a character that must be encoded");
    check_target("/\xc3\xa4", "refused: a character that must be encoded");
    check_target("/%", "refused: a broken percent encoding");
    check_target("/%4", "refused: a broken percent encoding");
    check_target("/%4g", "refused: a broken percent encoding");
    check_target("/a?b=%", "refused: a broken percent encoding");
    check_target("/a%4/1", "refused: a broken percent encoding");
    check_target("/%00", "refused: an encoded control character");
    check_target("/a?b%0d%0ac", "refused: an encoded control character");
    check_target("/%7f", "refused: an encoded control character");
    check_target("/%c3", "refused: encoded bytes that are not UTF-8");
    check_target("/%c3/%a4", "refused: encoded bytes that are not UTF-8");
    check_target("/%c0%ae%c0%ae", "refused: encoded bytes that are not UTF-8");
    check_target("/..", "refused: \".\" or \"..\"");
    check_target("/a/./b", "refused: \".\" or \"..\"");
    check_target("/a/%2e%2E/b", "refused: \".\" or \"..\"");
    check_target("/a%2f..", "refused: \".\" or \"..\"");
    check_target("/..%5ca", "refused: \".\" or \"..\"");
}

static void parts_have_a_limit(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    STR_LOCAL(path);
    STR_LOCAL(query);
    struct target t;
    str_add(&query, "/?");
    for (int i = 0; i < TARGET_MAX_SEGMENTS; i++)
        str_add(&path, "/a");
    for (int i = 0; i < TARGET_MAX_QUERY; i++)
        str_add(&query, "a&");
    assert_null(target_parse(&a, path.data, &t));
    assert_int_equal(t.segment_count, TARGET_MAX_SEGMENTS);
    assert_null(target_parse(&a, query.data, &t));
    str_add(&path, "/a");
    str_add(&query, "a");
    assert_string_equal(target_parse(&a, path.data, &t), "too many segments");
    assert_string_equal(target_parse(&a, query.data, &t), "too many parameters");
}

static void check_match(const char *pattern, const char *raw, const char *expected)
{
    ARENA_LOCAL(a);
    STR_LOCAL(seen);
    struct target t;
    struct http_field params[TARGET_MAX_SEGMENTS];
    size_t count = 0;
    assert_true(pattern_valid(pattern));
    assert_null(target_parse(&a, raw, &t));
    str_add(&seen, pattern_match(&a, pattern, &t, params, &count) ? "yes" : "no");
    for (size_t i = 0; i < count; i++)
        str_addf(&seen, " %s=%s", params[i].name, params[i].value);
    if (!streq(seen.data, expected))
        fail_msg("%s %s: \"%s\", not \"%s\"", pattern, raw, seen.data, expected);
}

static void a_pattern_fits_segment_by_segment(void **state)
{
    (void)state;
    check_match("/", "/", "yes");
    check_match("/", "/a", "no");
    check_match("/a", "/", "no");
    check_match("/a/b", "/a/b", "yes");
    check_match("/a/b", "/a/b/", "no");
    check_match("/a/b", "/a%2fb", "no");
    check_match("/a", "/A", "no");
    check_match("/a/{id}", "/a/b", "yes id=b");
    check_match("/a/{id}", "/a/b%2fc", "yes id=b/c");
    check_match("/a/{id}", "/a/", "no");
    check_match("/a/{id}", "/a/b/c", "no");
    check_match("/{x}/{y}/c", "/a/b/c", "yes x=a y=b");
    check_match("/a/{rest...}", "/a/b/c/d", "yes rest=b/c/d");
    check_match("/a/{rest...}", "/a/b", "yes rest=b");
    check_match("/a/{rest...}", "/a/", "no");
    check_match("/a/{rest...}", "/a", "no");
    check_match("/a/{rest...}", "/a/b/", "no");
}

static void patterns_that_cannot_be_matched_are_invalid(void **state)
{
    (void)state;
    const char *const bad[] = { "", "a", "/a/", "//", "/a//b", "/{", "/{}", "/{a", "/a}", "/{a}b", "/{...}", "/{a...}/b", "/a{b}",
                                "/{a{b}", "/a?b", "/a#b", "/%61" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (pattern_valid(bad[i]))
            fail_msg("%s is said to be valid", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_cut_before_it_is_decoded),
        cmocka_unit_test(what_is_no_text_or_no_path_is_refused),
        cmocka_unit_test(parts_have_a_limit),
        cmocka_unit_test(a_pattern_fits_segment_by_segment),
        cmocka_unit_test(patterns_that_cannot_be_matched_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
