/* fuzz_gguf.c - any bytes as a model file. */
#include "base/arena.h"
#include "base/err.h"
#include "base/utf8.h"
#include "model/gguf.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (!text || !utf8_valid(text, strlen(text), NULL))
        abort();
}

static void check_info(const struct gguf_info *m)
{
    const char *const texts[] = { m->type, m->architecture, m->name, m->basename, m->size_label, m->quantisation,
                                  m->tokenizer, m->pre_tokenizer, m->pooling, m->chat_template };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(texts[i]);
    if (m->parameters < 0 || m->weight_bytes < 0 || m->weight_bytes > m->file_bytes || m->data_at > m->file_bytes + (1 << 30))
        abort();
    for (int64_t i = 0; i < m->layers; i++)
        if (m->layer[i].token_values < 0 || m->layer[i].state_values < 0 || m->layer[i].kv_heads > m->kv_heads)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("model", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    ARENA_LOCAL(a);
    struct err e = { 0 };
    struct gguf_info info;
    int r = gguf_read(&a, fd, &info, &e);
    if (r < 0) {
        if ((r != ERR_INVALID && r != ERR_CORRUPT) || !e.text[0])
            abort();
        check_text(e.text);
        return 0;
    }
    check_info(&info);
    struct gguf_memory m;
    if (gguf_require_model(&info, &e) < 0)
        check_text(e.text);
    if (gguf_memory_estimate(&info, &(struct gguf_use){ .slots = 4 }, &m, &e) < 0 || m.cache < 0 || m.compute < 0 ||
        m.total < m.cache)
        abort();
    return 0;
}
