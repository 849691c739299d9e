/* gguf_internal.h - what the gguf_*.c files share; nobody else includes it.
 *
 *   gguf.c          the order of things in a file: header, keys, tensors, weights
 *   gguf_source.c   bytes of a file, bounded and buffered
 *   gguf_keys.c     which keys are read, and into what
 *   gguf_shape.c    what follows from them for each layer
 *   gguf_types.c    how tensors are stored, and what that is called
 *   gguf_look.c     what a file that is no GGUF file looks like
 *   gguf_memory.c   what it takes to load one
 */
#ifndef TANDEM_GGUF_INTERNAL_H
#define TANDEM_GGUF_INTERNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "model/gguf.h"

/* ---- bytes ---- */

/* A regular file, read from the front. */
struct gguf_source {
    int fd;
    int64_t size, at;
    struct err *e;
    int64_t held_at; /* where in the file the buffer begins */
    size_t held;
    unsigned char buffer[16 << 10];
};

int gguf_source_open(struct gguf_source *s, int fd, struct err *e);
/* The next `len` bytes; ERR_CORRUPT beyond the end of the file or GGUF_MAX_HEADER. */
int gguf_take(struct gguf_source *s, void *out, size_t len);
/* The same without reading them. */
int gguf_skip(struct gguf_source *s, uint64_t len);
/* Little-endian numbers. */
int gguf_take_u32(struct gguf_source *s, uint32_t *ret);
int gguf_take_u64(struct gguf_source *s, uint64_t *ret);
/* A length and as many bytes, at most `max`; the arena's text ends with a NUL.  `what` is for
 * the error: "the name of key 3". */
int gguf_take_text(struct gguf_source *s, struct arena *a, size_t max, const char *what, char **ret, size_t *ret_len);
/* ERR_CORRUPT with "is damaged: ..., at byte N". */
int gguf_damaged(struct gguf_source *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- keys ---- */

/* Everything that is read, before it is put together. */
struct gguf_facts {
    struct gguf_info info;
    int64_t file_type; /* -1: not said */
    int64_t alignment;
    int64_t part_before, parts;
    int64_t pooling; /* -1: not said */
    int64_t expert_feed_forward;
    int64_t window_key_length, window_value_length, latent_key_length;
    int64_t shared_kv_layers, attention_interval;
    int64_t *heads, *kv_heads, *windowed; /* one for each layer, or NULL */
    int64_t windowed_listed;              /* 0: `windowed` is one number, the pattern's length */
    int64_t conv_kernel, inner_size, state_size, group_count; /* ssm: Mamba and its kin */
    int64_t wkv_head_size, token_shift;                       /* RWKV */
    int64_t short_conv;                                       /* LFM2 */
};

/* Reads `count` keys with their values. */
int gguf_read_keys(struct gguf_source *s, struct arena *a, uint64_t count, struct gguf_facts *f);

/* Fills info.layer and what sums it up. */
void gguf_find_shape(struct arena *a, struct gguf_facts *f);

/* ---- types ---- */

/* How the numbers of a tensor are stored: in blocks of so many numbers and bytes. */
struct gguf_tensor_type {
    const char *name;
    int numbers, bytes; /* 0: no longer in use */
};

/* NULL: newer than the table. */
const struct gguf_tensor_type *gguf_tensor_type(uint32_t type);
/* By name, without regard to case; NULL: there is none. */
const struct gguf_tensor_type *gguf_tensor_type_named(const char *name);
/* The name of a general.file_type; NULL: newer than the table. */
const char *gguf_file_type(int64_t type);
/* "" for -1, "type N" beyond the table. */
const char *gguf_pooling(struct arena *a, int64_t type);

/* ---- other files ---- */

/* ERR_INVALID, with what the file looks like by its first bytes. */
int gguf_refuse(const unsigned char *head, size_t len, int64_t size, struct err *e);

#endif
