/* fuzz_recording.c - recorded calls that somebody edited; what was read survives being
 * written and read again. */
#include "base/arena.h"
#include "base/err.h"
#include "model/recording.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_LOCAL(a);
    STR_LOCAL(text);
    struct recorded one, two;
    struct err e;
    if (recording_read(&a, (const char *)data, size, &one, &e) < 0)
        return 0;
    recording_write(&text, &one);
    if (recording_read(&a, text.data, text.len, &two, &e) < 0)
        abort();
    if (one.message_count != two.message_count || one.as_in_count != two.as_in_count ||
        one.answer_len != two.answer_len || memcmp(one.answer, two.answer, one.answer_len) != 0)
        abort();
    for (size_t i = 0; i < one.message_count; i++)
        if (one.messages[i].role != two.messages[i].role || !streq(one.messages[i].text, two.messages[i].text))
            abort();
    return 0;
}
