/* gguf.h - what a GGUF model file says of itself, and the memory it will take.
 *
 * Source: the GGUF specification (ggml, docs/gguf.md), versions 2 and 3.  Only little-endian
 * files are read; a big-endian one is told as such.  Only the metadata and the table of tensors
 * are looked at (some MiB at most, however large the file), never the weights.  A file is
 * believed nothing: it comes from a download.
 *
 * Threads: any; nothing here is shared.
 */
#ifndef TANDEM_GGUF_H
#define TANDEM_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct arena;
struct err;

/* What more than these hold is refused as corrupt: bounds on memory and time. */
enum {
    GGUF_MAX_HEADER = 256 << 20,  /* bytes before the weights; a large vocabulary has 16 MiB */
    GGUF_MAX_KEYS = 1 << 14,      /* a usual file has 40 */
    GGUF_MAX_TENSORS = 1 << 16,   /* a large mixture of experts has 2,000 */
    GGUF_MAX_NAME = 1 << 10,      /* bytes of a key, of a tensor's name, of a short text */
    GGUF_MAX_TEMPLATE = 1 << 20,  /* bytes of a chat template; long ones have 20 KiB */
    GGUF_MAX_LAYERS = 1 << 10,    /* llama.cpp takes 512 */
};

/* What one layer keeps of a conversation. */
struct gguf_layer {
    int64_t heads, kv_heads;
    int64_t token_values; /* numbers for each token: keys and values */
    int64_t state_values; /* numbers for the whole of it: a recurrent layer */
    bool windowed;        /* the last `window` tokens only */
};

/* Texts are never NULL ("": not said), well-formed UTF-8, and in the arena that was given;
 * numbers are 0 where the file does not say. */
struct gguf_info {
    int64_t version;      /* of the format */
    int64_t file_bytes;
    int64_t data_at;      /* where the weights begin */
    int64_t weight_bytes; /* of all tensors, without padding */

    const char *type;         /* "model", "adapter" (LoRA), "mmproj", "imatrix"; "": a model */
    const char *architecture; /* "llama", "qwen2" */
    const char *name, *basename, *size_label;
    const char *quantisation; /* as in file names ("Q4_K_M"); "type 99": newer than this table */
    int64_t tensors, parameters;

    int64_t context; /* in tokens, as trained */
    int64_t layers, embedding;
    int64_t feed_forward; /* the widest inner layer; experts that are used at once together */
    int64_t experts, experts_used;
    int64_t heads, kv_heads;          /* the most that a layer has */
    int64_t key_length, value_length; /* of one head */
    struct gguf_layer *layer;         /* `layers` of them */
    int64_t window;                   /* tokens that a windowed layer sees */
    bool latent;                      /* keys and values are kept as one (MLA) */
    bool encoder;                     /* keeps no keys and values */

    const char *tokenizer, *pre_tokenizer; /* "gpt2", "qwen2" */
    int64_t vocabulary;
    const char *pooling; /* "": makes no embeddings; "none", "mean", "cls", "last", "rank" */
    const char *chat_template;
    struct digest template_digest; /* of the template's bytes; hex is "" without one */

    int64_t part, parts; /* of a split model, from 1; 1 of 1: whole */
};

/* Reads from the beginning of a regular file; where `fd` stands does not matter and does not
 * change.  The texts of errors go on from a file's name ("model.gguf: is cut off: ...").
 * ERR_INVALID: this is no GGUF file, and what it looks like; or one of a version that is not
 * read.  ERR_CORRUPT: cut off, and how many bytes are missing; or damaged, and where. */
int gguf_read(struct arena *a, int fd, struct gguf_info *ret, struct err *e);

/* Whether a model server can load this file by itself; otherwise ERR_REFUSED with what it is
 * and what to do: a part of a split model, an adapter, a projector, a vocabulary. */
int gguf_require_model(const struct gguf_info *info, struct err *e);

/* ---- memory ---- */

struct gguf_use {
    int64_t context;        /* tokens for each slot; 0: as trained */
    int64_t slots;          /* conversations at once; 0: 1 */
    int64_t batch;          /* tokens computed at once (llama-server's --ubatch-size); 0: 512 */
    const char *cache_type; /* of keys and values ("f16", "q8_0"); NULL: f16 */
};

/* Bytes.  What llama-server keeps beyond this for old prompts (--cache-ram, 8 GiB unless told)
 * is the caller's to limit and to add. */
struct gguf_memory {
    int64_t weights;  /* read through the page cache, or copied */
    int64_t cache;    /* keys and values, and recurrent states */
    int64_t compute;  /* intermediate results */
    int64_t checkpoint; /* one of a slot's states to go back to (--ctx-checkpoints); not in `total` */
    int64_t process;  /* the program, vocabulary and tables */
    int64_t total;
};

/* An estimate from above of what llama-server takes for this model, all in one kind of memory.
 * INT64_MAX where numbers are beyond reason.  How it is computed, and what it was compared
 * with, stands in gguf_memory.c.  ERR_INVALID: there is no such cache type. */
int gguf_memory_estimate(const struct gguf_info *info, const struct gguf_use *use, struct gguf_memory *ret,
                         struct err *e);

#endif
