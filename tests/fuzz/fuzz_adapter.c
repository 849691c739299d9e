/* Lines of an adapter: whatever it prints is a line of the protocol, or an error with a sentence. */
#include "base/arena.h"
#include "base/err.h"
#include "model/adapter_line.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_LOCAL(a);
    struct adapter_line line;
    struct err e = { 0 };
    int r = adapter_line_read(&a, (const char *)data, size, &line, &e);
    if (r < 0 && (e.code != r || !e.text[0]))
        abort();
    if (r == 0 && line.type != ADAPTER_HELLO && line.id < 1)
        abort();
    if (r == 0 && (line.type == ADAPTER_TEXT || line.type == ADAPTER_ERROR) && !line.text)
        abort();
    return 0;
}
