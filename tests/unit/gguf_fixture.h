/* gguf_fixture.h - model files made in memory, with whatever is to be in them. */
#ifndef TANDEM_GGUF_FIXTURE_H
#define TANDEM_GGUF_FIXTURE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/gguf.h"

/* Types of values, and of tensors. */
enum { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64 };
enum { STORED_F32 = 0, STORED_F16 = 1, STORED_Q4_0 = 2, STORED_Q4_2 = 4, STORED_Q4_K = 12, STORED_NEWER = 99 };

struct made {
    struct str keys, tensors;
    uint64_t key_count, tensor_count;
    uint64_t weights; /* bytes, each tensor padded */
    uint64_t last;    /* the same without the padding at the end */
    uint32_t version; /* 0: 3 */
};
#define MADE_INIT { .keys = STR_INIT, .tensors = STR_INIT }

/* A model of the LLaMA kind: 14 keys, 2 layers of 4 heads, 2 of them with keys and values. */
struct made made_small(void);
void made_release(struct made *m);

/* ---- adding to it; a name may come twice ---- */
void made_put(struct str *s, uint64_t value, int bytes);
void made_put_text(struct str *s, const char *text);
void made_key(struct made *m, const char *name, uint32_t type);
void made_number(struct made *m, const char *name, uint32_t type, int64_t value);
void made_text(struct made *m, const char *name, const char *value);
/* The values are the caller's to put into `keys`. */
void made_list(struct made *m, const char *name, uint32_t type, uint64_t count);
void made_numbers(struct made *m, const char *name, uint32_t type, const int *values, size_t count);
void made_tensor(struct made *m, const char *name, uint32_t type, uint64_t width, uint64_t rows, uint64_t bytes);
void made_tensor_at(struct made *m, const char *name, uint32_t type, uint64_t width, uint64_t rows, uint64_t at);

/* ---- as a file ---- */
/* To be released. */
struct str made_bytes(const struct made *m);
int made_file(const void *bytes, size_t len);
int made_read_bytes(struct arena *a, const void *bytes, size_t len, struct gguf_info *ret, struct err *e);
/* Reads and releases it. */
int made_read(struct arena *a, struct made *m, struct gguf_info *ret, struct err *e);
/* The same; fails the test where it cannot be read. */
struct gguf_info made_good(struct arena *a, struct made *m);

#endif
