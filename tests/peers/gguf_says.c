/* gguf_says.c - what Tandem's reader makes of a model file, as JSON, for the tests in Python.
 *
 * usage: gguf_says FILE [CONTEXT SLOTS].  Prints one object; a file that is refused has an "error".
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/gguf.h"

#include <fcntl.h>
#include <unistd.h>

static json_t *described(const struct gguf_info *m, const struct gguf_memory *mem)
{
    return json_pack("{s:s s:s s:s s:s s:s s:s s:I s:I s:I s:I s:I s:I s:I s:I s:{s:I s:I s:I s:I s:I}}",
                     "architecture", m->architecture, "name", m->name, "quantisation", m->quantisation, "pooling", m->pooling,
                     "chat_template", m->chat_template, "template_digest", m->template_digest.hex,
                     "parameters", (json_int_t)m->parameters, "weight_bytes", (json_int_t)m->weight_bytes,
                     "context", (json_int_t)m->context, "embedding", (json_int_t)m->embedding,
                     "vocabulary", (json_int_t)m->vocabulary, "layers", (json_int_t)m->layers,
                     "heads", (json_int_t)m->heads, "kv_heads", (json_int_t)m->kv_heads,
                     "memory", "weights", (json_int_t)mem->weights, "cache", (json_int_t)mem->cache,
                     "compute", (json_int_t)mem->compute, "process", (json_int_t)mem->process, "total", (json_int_t)mem->total);
}

int main(int argc, char **argv)
{
    ARENA_LOCAL(a);
    struct err e = { 0 };
    struct gguf_info m;
    struct gguf_memory mem = { 0 };
    long long context = 0, slots = 1;
    if (argc != 2 && (argc != 4 || !parse_int(argv[2], 0, 1 << 30, &context) || !parse_int(argv[3], 1, 1000, &slots)))
        return 2;
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 2;
    int r = gguf_read(&a, fd, &m, &e);
    if (r == 0)
        r = gguf_require_model(&m, &e);
    if (r == 0)
        r = gguf_memory_estimate(&m, &(struct gguf_use){ .context = context, .slots = slots }, &mem, &e);
    close(fd);
    json_t *out = r < 0 ? json_pack("{s:s s:s}", "error", e.text, "code", err_name(r)) : described(&m, &mem);
    STR_LOCAL(text);
    json_write(&text, out);
    puts(text.data);
    json_decref(out);
    return 0;
}
