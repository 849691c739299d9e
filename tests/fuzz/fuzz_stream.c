/* fuzz_stream.c - a model server's body, cut into pieces.  The first byte says how long the
 * pieces are: the answer must not depend on it.  Its highest bit says whose words they are. */
#include "base/str.h"
#include "model/stream.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum stream_end run(enum stream_dialect dialect, const char *body, size_t len, size_t piece, struct chat_answer *answer)
{
    static const struct model_options options = { .max_answer_bytes = 10000 };
    struct stream s;
    *answer = (struct chat_answer){ .text = STR_INIT, .reasoning = STR_INIT };
    stream_init(&s, dialect, &options, answer, "key", NULL, NULL);
    for (size_t at = 0; at < len; at += piece)
        if (!stream_feed(&s, body + at, len - at < piece ? len - at : piece))
            break;
    stream_finish(&s);
    enum stream_end end = s.end;
    stream_release(&s);
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const char *body = (const char *)data + 1;
    struct chat_answer pieces, whole;
    enum stream_dialect dialect = data[0] & 0x80 ? DIALECT_OLLAMA : DIALECT_OPENAI;
    enum stream_end a = run(dialect, body, size - 1, (size_t)(data[0] & 0x7F) + 1, &pieces);
    enum stream_end b = run(dialect, body, size - 1, size, &whole);
    if (a != b || !streq(pieces.text.data, whole.text.data) ||
        !streq(pieces.reasoning.data, whole.reasoning.data) || !streq(pieces.finish, whole.finish))
        abort();
    /* A byte that is not UTF-8 becomes three. */
    if (whole.text.len + whole.reasoning.len > 3 * size)
        abort();
    chat_answer_release(&pieces);
    chat_answer_release(&whole);
    return 0;
}
