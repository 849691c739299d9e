/* fuzz_completion.c - chunks, one on each line, joined into an answer, which is JSON whatever they are. */
#include "base/arena.h"
#include "base/json_text.h"
#include "base/str.h"
#include "web/completion.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    struct completion c = COMPLETION_INIT;
    bool any = false;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line_end ? line_end : end) - at);
        any |= completion_add(&c, at, len, NULL) == 0;
        at += len + 1;
    }
    ARENA_LOCAL(a);
    STR_LOCAL(whole);
    struct json_span *members;
    size_t count;
    if (completion_take(&c, &whole) != any)
        abort();
    if (any && json_text_members(&a, whole.data, whole.len, &members, &count, NULL) < 0)
        abort();
    completion_release(&c);
    return 0;
}
