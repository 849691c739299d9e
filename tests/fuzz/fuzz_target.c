/* fuzz_target.c - request targets.  What is accepted is text without control characters and
 * steps to other folders, however it was encoded, and routes get it unchanged. */
#include "base/arena.h"
#include "base/str.h"
#include "base/utf8.h"
#include "http/target.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    size_t len = strlen(text);
    if (!utf8_valid(text, len, NULL))
        abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const patterns[] = { "/", "/a", "/a/{b}", "/{a}/{b}/c", "/a/{b...}", "/{a...}" };
    ARENA_LOCAL(a);
    struct target t;
    struct http_field params[TARGET_MAX_SEGMENTS];
    if (target_parse(&a, arena_strndup(&a, (const char *)data, size), &t))
        return 0;
    check_text(t.path);
    for (size_t i = 0; i < t.segment_count; i++) {
        check_text(t.segments[i]);
        if (streq(t.segments[i], "..") || strstr(t.segments[i], "/../") || starts_with(t.segments[i], "../"))
            abort();
    }
    for (size_t i = 0; i < t.query_count; i++) {
        check_text(t.query[i].name);
        check_text(t.query[i].value);
    }
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t count = 0;
        bool fits = pattern_match(&a, patterns[i], &t, params, &count);
        for (size_t j = 0; fits && j < count; j++)
            if (!*params[j].value)
                abort();
        if (fits && streq(patterns[i], "/{a...}") && t.segment_count == 1 && params[0].value != t.segments[0])
            abort();
    }
    return 0;
}
