/* model/vectors.h - vectors of texts, kept in the store, so that each text is read once.
 *
 * A vector is kept under the model, its version and the SHA-256 of the text: a document that
 * names a blob with the numbers (32 bits each, little-endian).  For 5,000 vectors of 768 numbers
 * that was written in a fifth of the time of documents that hold the numbers as text, read in a
 * fifth, and took 60 % of the room.
 *
 * Vectors of two models, or of two versions of one, cannot be compared.  So the first model that
 * a name stood for is written down (a document of its own), and when it stands for another one,
 * or vectors have another size, the caller is told, and the log: what it keeps itself has to be
 * made anew.  Nothing of ours is ever returned for another model, version or size.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_VECTORS_H
#define TANDEM_MODEL_VECTORS_H

#include "model/embed.h"
#include "store/store.h"

struct vector {
    const char *model;
    int64_t version, dimensions;
    const char *values; /* digest of the blob */
};
/* Who a name ("embedding") stood for last. */
struct vector_source {
    const char *model;
    int64_t version, dimensions;
};
extern const struct doc_type vector_type, vector_source_type;

struct vectors_wish {
    const char *name;    /* of the registry: a role or a model, which `model` of vectors_of asks */
    struct embed_request texts;
    int64_t keep;        /* so many vectors a store keeps at most; more are made, but not kept */
};
struct vectors {
    struct embeddings all;   /* as model_embed; vectors_release */
    size_t kept;             /* of these from the store */
    bool changed;            /* the name stood for another model before: */
    char before[160];        /* "nomic version 1, 768 numbers" */
};

/* As model_embed, for what is not kept yet.  A store opened for reading keeps nothing new. */
int vectors_of(struct store *s, struct model *m, const struct vectors_wish *w, struct vectors *ret, struct err *e);
void vectors_release(struct vectors *v);

/* How alike two vectors are: the cosine of the angle between them, -1 to 1; 0 where one is zero. */
double vectors_likeness(const float *one, const float *other, size_t dimensions);

#endif
