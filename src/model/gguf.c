/* gguf.c - reading a GGUF file from the front: header, keys, tensors, and where the weights end.
 *
 * Of tensors only what adds up is kept, so a file with many costs no more memory than one
 * with few; their names are remembered while reading, to find the same one twice.
 */
#include "model/gguf_internal.h"

#include "base/set.h"
#include "base/str.h"

enum {
    OLDEST = 2,
    NEWEST = 3,
    HEAD = 512,           /* of a file, to see what it is */
    DIMENSIONS = 4,
    KNOWN_TYPES = 256,    /* more than there are; a number beyond is damage */
    DEFAULT_ALIGNMENT = 32,
};

/* What the list of tensors adds up to. */
struct tensors {
    struct gguf_source *s;
    struct gguf_facts *f;
    uint64_t end;                   /* of the last one, from the beginning of the weights */
    uint64_t last_at;
    bool last_known;                /* its size follows from its type */
    uint64_t bytes_of[KNOWN_TYPES]; /* to say what most of it is stored as */
};

struct tensor {
    const char *name;
    uint64_t numbers, row;
    uint32_t type;
    uint64_t at;
};

static uint64_t padded(uint64_t n, int64_t alignment)
{
    uint64_t a = (uint64_t)alignment;
    return (n + a - 1) / a * a;
}

/* ---- header ---- */

static int check_version(uint32_t version, struct err *e)
{
    if (version >= OLDEST && version <= NEWEST)
        return 0;
    if (version && (version & 0xFFFF) == 0)
        return err_set(e, ERR_INVALID, "is a big-endian GGUF file, for other processors; find the little-endian one");
    if (version < OLDEST)
        return err_set(e, ERR_INVALID, "is a GGUF file of version %u, of 2023, which nothing reads any more; find a newer one", version);
    return err_set(e, ERR_INVALID, "is a GGUF file of version %u; this program reads up to %d. A newer one is needed", version, NEWEST);
}

static int read_header(struct gguf_source *s, uint64_t *ret_tensors, uint64_t *ret_keys, int64_t *ret_version)
{
    unsigned char head[HEAD];
    size_t len = s->size < HEAD ? (size_t)s->size : HEAD;
    int r = gguf_take(s, head, len);
    if (r < 0)
        return r;
    if (len < 4 || memcmp(head, "GGUF", 4) != 0)
        return gguf_refuse(head, len, s->size, s->e);
    s->at = 4;
    uint32_t version = 0;
    r = gguf_take_u32(s, &version);
    if (r == 0)
        r = check_version(version, s->e);
    if (r == 0)
        r = gguf_take_u64(s, ret_tensors);
    if (r == 0)
        r = gguf_take_u64(s, ret_keys);
    *ret_version = version;
    return r;
}

/* ---- tensors ---- */

static int read_shape(struct gguf_source *s, struct tensor *t)
{
    uint32_t dimensions;
    int r = gguf_take_u32(s, &dimensions);
    if (r == 0 && dimensions > DIMENSIONS)
        return gguf_damaged(s, "the tensor \"%s\" has %u dimensions", t->name, dimensions);
    t->numbers = t->row = 1;
    for (uint32_t i = 0; r == 0 && i < dimensions; i++) {
        uint64_t n;
        r = gguf_take_u64(s, &n);
        if (r == 0 && (__builtin_mul_overflow(t->numbers, n, &t->numbers) || t->numbers > (uint64_t)INT64_MAX / 16))
            return gguf_damaged(s, "the tensor \"%s\" is larger than anything", t->name);
        if (r == 0 && i == 0)
            t->row = n;
    }
    return r;
}

static int read_tensor(struct gguf_source *s, struct arena *a, uint64_t number, struct tensor *t)
{
    char what[40], *name;
    size_t len;
    snprintf(what, sizeof what, "the name of tensor %llu", (unsigned long long)number);
    int r = gguf_take_text(s, a, GGUF_MAX_NAME, what, &name, &len);
    if (r < 0)
        return r;
    for (size_t i = 0; i < len; i++)
        if (name[i] < ' ' || name[i] > '~')
            return gguf_damaged(s, "%s is no text", what);
    t->name = name;
    r = read_shape(s, t);
    if (r == 0)
        r = gguf_take_u32(s, &t->type);
    if (r == 0)
        r = gguf_take_u64(s, &t->at);
    return r;
}

/* How many bytes it takes; 0 with *ret_known false: of a type newer than we are. */
static int measure(struct gguf_source *s, const struct tensor *t, uint64_t *ret_bytes, bool *ret_known)
{
    const struct gguf_tensor_type *type = gguf_tensor_type(t->type);
    *ret_bytes = 0;
    *ret_known = type != NULL;
    if (!type && t->type < KNOWN_TYPES)
        return 0;
    if (!type)
        return gguf_damaged(s, "the tensor \"%s\" is of type %u, which there is not", t->name, t->type);
    if (type->bytes == 0)
        return err_set(s->e, ERR_INVALID, "is stored as %s, which model servers no longer read; find it as Q4_0 or Q4_K_M",
                       type->name);
    if (t->row % (uint64_t)type->numbers)
        return gguf_damaged(s, "the tensor \"%s\" has rows of %llu, no multiple of %d (%s)", t->name, (unsigned long long)t->row,
                            type->numbers, type->name);
    if (__builtin_mul_overflow(t->numbers / (uint64_t)type->numbers, (uint64_t)type->bytes, ret_bytes) ||
        *ret_bytes > (uint64_t)INT64_MAX / 4)
        return gguf_damaged(s, "the tensor \"%s\" is larger than anything", t->name);
    return 0;
}

/* Tensors lie one after the other, as llama.cpp requires; where the size of one is not known,
 * the place of the next tells it. */
static int add_tensor(struct tensors *all, const struct tensor *t)
{
    struct gguf_info *m = &all->f->info;
    uint64_t bytes, at = padded(all->end, all->f->alignment);
    bool known, first = m->tensors == 0;
    int r = measure(all->s, t, &bytes, &known);
    if (r < 0)
        return r;
    bool fits = first || all->last_known ? t->at == at : t->at >= at && t->at % (uint64_t)all->f->alignment == 0;
    if (!fits || t->at > (uint64_t)INT64_MAX / 4)
        return gguf_damaged(all->s, "the tensor \"%s\" stands at %llu, where %llu would be its place", t->name,
                            (unsigned long long)t->at, (unsigned long long)at);
    if (!first && !all->last_known)
        m->weight_bytes += (int64_t)(t->at - all->last_at);
    all->end = t->at + bytes;
    all->last_at = t->at;
    all->last_known = known;
    if (all->end > (uint64_t)INT64_MAX / 4 || __builtin_add_overflow(m->parameters, (int64_t)t->numbers, &m->parameters))
        return gguf_damaged(all->s, "its tensors are larger than anything");
    m->weight_bytes += (int64_t)bytes;
    m->tensors++;
    /* Of a type without a size, at least it counts. */
    all->bytes_of[t->type] += known ? bytes : t->numbers / 4;
    return 0;
}

static const char *most_used(struct arena *a, const struct tensors *all)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < KNOWN_TYPES; i++)
        if (all->bytes_of[i] > all->bytes_of[best])
            best = i;
    const struct gguf_tensor_type *type = gguf_tensor_type(best);
    return all->bytes_of[best] == 0 ? "" : type ? type->name : arena_printf(a, "type %u", best);
}

static int read_tensors(struct tensors *all, struct arena *a, uint64_t count)
{
    if (count > GGUF_MAX_TENSORS)
        return gguf_damaged(all->s, "it says that it has %llu tensors, more than %d", (unsigned long long)count, GGUF_MAX_TENSORS);
    ARENA_LOCAL(names);
    struct set seen = SET_IN(&names);
    for (uint64_t i = 0; i < count; i++) {
        struct tensor t;
        int r = read_tensor(all->s, &names, i + 1, &t);
        if (r == 0 && !set_add(&seen, t.name))
            r = gguf_damaged(all->s, "the tensor \"%s\" stands there twice", t.name);
        if (r == 0)
            r = add_tensor(all, &t);
        if (r < 0)
            return r;
    }
    struct gguf_info *m = &all->f->info;
    const char *named = gguf_file_type(all->f->file_type);
    m->quantisation = named ? named : most_used(a, all);
    return 0;
}

/* ---- the whole ---- */

/* What the weights take, against what is there. */
static int check_extent(struct gguf_source *s, const struct tensors *all)
{
    struct gguf_info *m = &all->f->info;
    m->data_at = s->at;
    if (m->tensors > 0)
        m->data_at = (int64_t)padded((uint64_t)s->at, all->f->alignment);
    int64_t whole = m->data_at + (int64_t)all->end;
    if (whole > s->size)
        return err_set(s->e, ERR_CORRUPT, "is cut off: %lld of %lld bytes are missing. Download it again", (long long)(whole - s->size),
                       (long long)whole);
    if (m->tensors > 0 && !all->last_known)
        m->weight_bytes += s->size - whole;
    return 0;
}

static int read_all(struct gguf_source *s, struct arena *a, struct gguf_facts *f)
{
    uint64_t tensors = 0, keys = 0;
    int r = read_header(s, &tensors, &keys, &f->info.version);
    if (r == 0)
        r = gguf_read_keys(s, a, keys, f);
    if (r < 0)
        return r;
    if (f->alignment == 0 || (f->alignment & (f->alignment - 1)))
        return gguf_damaged(s, "its alignment is %lld, no power of 2", (long long)f->alignment);
    struct tensors all = { .s = s, .f = f, .last_known = true };
    r = read_tensors(&all, a, tensors);
    if (r == 0)
        r = check_extent(s, &all);
    return r;
}

int gguf_read(struct arena *a, int fd, struct gguf_info *ret, struct err *e)
{
    struct gguf_source s;
    int r = gguf_source_open(&s, fd, e);
    if (r < 0)
        return r;
    struct gguf_facts f = {
        .info = { .file_bytes = s.size, .type = "", .architecture = "", .name = "", .basename = "", .size_label = "",
                  .quantisation = "", .tokenizer = "", .pre_tokenizer = "", .chat_template = "" },
        .file_type = -1,
        .alignment = DEFAULT_ALIGNMENT,
        .pooling = -1,
        .parts = 1,
    };
    r = read_all(&s, a, &f);
    if (r < 0)
        return r;
    gguf_find_shape(a, &f);
    f.info.pooling = gguf_pooling(a, f.pooling);
    f.info.part = f.part_before + 1;
    f.info.parts = f.parts ? f.parts : 1;
    *ret = f.info;
    return 0;
}

/* ---- can it be served ---- */

struct kind {
    const char *type, *what, *next;
};
static const struct kind not_models[] = {
    { "adapter", "an adapter (LoRA)", "it changes another model; name it to the server beside that one (--lora)" },
    { "mmproj", "a projector for pictures or sound", "it belongs to another model; name it to the server beside that one (--mmproj)" },
    { "imatrix", "an importance matrix", "it is for quantising another model" },
};

int gguf_require_model(const struct gguf_info *m, struct err *e)
{
    for (size_t i = 0; i < sizeof not_models / sizeof *not_models; i++)
        if (streq(m->type, not_models[i].type))
            return err_set(e, ERR_REFUSED, "is %s, no model by itself; %s", not_models[i].what, not_models[i].next);
    if (m->parts > 1)
        return err_set(e, ERR_REFUSED, "is part %lld of %lld of one model. Join all of them first: "
                       "`llama-gguf-split --merge NAME-00001-of-%05lld.gguf WHOLE.gguf`, with the parts side by side",
                       (long long)m->part, (long long)m->parts, (long long)m->parts);
    if (!m->architecture[0])
        return err_set(e, ERR_REFUSED, "does not say its architecture (general.architecture), so no server can load it");
    if (m->tensors == 0)
        return err_set(e, ERR_REFUSED, "is a vocabulary without weights, no model");
    if (m->layers == 0 || m->embedding == 0 || m->context == 0)
        return err_set(e, ERR_REFUSED, "does not say its %s (%s.%s), so no server can load it",
                       m->layers == 0 ? "layers" : m->embedding == 0 ? "width" : "context", m->architecture,
                       m->layers == 0 ? "block_count" : m->embedding == 0 ? "embedding_length" : "context_length");
    return 0;
}
