/* gguf_fixture.c - see the header. */
#include "gguf_fixture.h"

#include "check.h"

#include <sys/mman.h>
#include <unistd.h>

static const int widths[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

void made_put(struct str *s, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        str_add_char(s, (char)(value >> 8 * i));
}

void made_put_text(struct str *s, const char *text)
{
    made_put(s, strlen(text), 8);
    str_add(s, text);
}

void made_key(struct made *m, const char *name, uint32_t type)
{
    made_put_text(&m->keys, name);
    made_put(&m->keys, type, 4);
    m->key_count++;
}

void made_number(struct made *m, const char *name, uint32_t type, int64_t value)
{
    made_key(m, name, type);
    made_put(&m->keys, (uint64_t)value, widths[type]);
}

void made_text(struct made *m, const char *name, const char *value)
{
    made_key(m, name, TEXT);
    made_put_text(&m->keys, value);
}

void made_list(struct made *m, const char *name, uint32_t type, uint64_t count)
{
    made_key(m, name, LIST);
    made_put(&m->keys, type, 4);
    made_put(&m->keys, count, 8);
}

void made_numbers(struct made *m, const char *name, uint32_t type, const int *values, size_t count)
{
    made_list(m, name, type, count);
    for (size_t i = 0; i < count; i++)
        made_put(&m->keys, (uint64_t)values[i], widths[type]);
}

void made_tensor_at(struct made *m, const char *name, uint32_t type, uint64_t width, uint64_t rows, uint64_t at)
{
    made_put_text(&m->tensors, name);
    made_put(&m->tensors, 2, 4);
    made_put(&m->tensors, width, 8);
    made_put(&m->tensors, rows, 8);
    made_put(&m->tensors, type, 4);
    made_put(&m->tensors, at, 8);
    m->tensor_count++;
}

void made_tensor(struct made *m, const char *name, uint32_t type, uint64_t width, uint64_t rows, uint64_t bytes)
{
    made_tensor_at(m, name, type, width, rows, m->weights);
    m->last = m->weights + bytes;
    m->weights += (bytes + 31) / 32 * 32;
}

struct str made_bytes(const struct made *m)
{
    struct str out = STR_INIT;
    str_add(&out, "GGUF");
    made_put(&out, m->version ? m->version : 3, 4);
    made_put(&out, m->tensor_count, 8);
    made_put(&out, m->key_count, 8);
    str_add_str(&out, &m->keys);
    str_add_str(&out, &m->tensors);
    while (out.len % 32)
        str_add_char(&out, 0);
    for (uint64_t i = 0; i < m->last; i++)
        str_add_char(&out, 'w');
    return out;
}

int made_file(const void *bytes, size_t len)
{
    int fd = memfd_create("model", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

void made_release(struct made *m)
{
    str_release(&m->keys);
    str_release(&m->tensors);
}

struct made made_small(void)
{
    struct made m = MADE_INIT;
    made_text(&m, "general.architecture", "llama");
    made_text(&m, "general.name", "Small");
    made_text(&m, "general.size_label", "1K");
    made_number(&m, "general.file_type", U32, 15);
    made_number(&m, "llama.block_count", U32, 2);
    made_number(&m, "llama.context_length", U32, 4096);
    made_number(&m, "llama.embedding_length", U32, 64);
    made_number(&m, "llama.feed_forward_length", U32, 128);
    made_number(&m, "llama.attention.head_count", U32, 4);
    made_number(&m, "llama.attention.head_count_kv", U32, 2);
    made_text(&m, "tokenizer.ggml.model", "gpt2");
    made_text(&m, "tokenizer.ggml.pre", "qwen2");
    made_list(&m, "tokenizer.ggml.tokens", TEXT, 3);
    made_put_text(&m.keys, "a");
    made_put_text(&m.keys, "");
    made_put_text(&m.keys, "bc");
    made_text(&m, "tokenizer.chat_template", "{{ messages }}");
    made_tensor(&m, "token_embd.weight", STORED_F16, 64, 3, 64 * 3 * 2);
    made_tensor(&m, "blk.0.attn_k.weight", STORED_Q4_0, 64, 1, 36);
    return m;
}

int made_read_bytes(struct arena *a, const void *bytes, size_t len, struct gguf_info *ret, struct err *e)
{
    int fd = made_file(bytes, len);
    int r = gguf_read(a, fd, ret, e);
    close(fd);
    return r;
}

int made_read(struct arena *a, struct made *m, struct gguf_info *ret, struct err *e)
{
    struct str s = made_bytes(m);
    int r = made_read_bytes(a, s.data, s.len, ret, e);
    str_release(&s);
    made_release(m);
    return r;
}

struct gguf_info made_good(struct arena *a, struct made *m)
{
    struct err e;
    struct gguf_info info;
    check_ok(made_read(a, m, &info, &e), &e);
    return info;
}
