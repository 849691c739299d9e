/* record.h - a type described once.
 *
 * A `struct record` lists the fields of a C struct: kind, offset, limits, one line of
 * documentation.  From it come reading (JSON to struct, with checks), writing, the
 * JSON Schema shown to models and API clients, and the index columns of the store.
 *
 *     struct criterion { const char *text; int64_t attempts; };
 *     static const struct field criterion_fields[] = {
 *         FIELD(struct criterion, text, FIELD_TEXT, .required = true, .max = 400,
 *               .doc = "what must hold, as one sentence"),
 *         FIELD(struct criterion, attempts, FIELD_INT, .max = 100),
 *     };
 *     const struct record criterion_record = RECORD("criterion", struct criterion, criterion_fields);
 *
 * Texts and lists that were read belong to the arena.  An absent text is "", an absent
 * list empty, an absent number 0 or .min if that is greater, an absent enum its first choice,
 * unless .absent says another.
 */
#ifndef TANDEM_RECORD_H
#define TANDEM_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* The C type at the field's offset is given after each kind. */
enum field_kind {
    FIELD_TEXT,    /* const char *; max: bytes (0: 1 MiB) */
    FIELD_INT,     /* int64_t; min and max when max > min */
    FIELD_REAL,    /* double */
    FIELD_BOOL,    /* bool */
    FIELD_ENUM,    /* int: index into choices */
    FIELD_TEXTS,   /* struct texts; max: items (0: 10,000) */
    FIELD_RECORD,  /* the struct itself, described by `of` */
    FIELD_RECORDS, /* struct records of `of`; max: items (0: 10,000) */
    FIELD_JSON,    /* json_t *: any value, not looked into; NULL when absent */
};

struct texts {
    const char **items;
    size_t count;
};

struct records {
    void *items;
    size_t count;
};

struct record;

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    int64_t min, max;
    bool required;
    bool indexed;  /* FIELD_TEXT, FIELD_INT, FIELD_BOOL, FIELD_ENUM: the store can find by it */
    bool searched; /* FIELD_TEXT: part of the store's text search */
    bool one_line; /* FIELD_TEXT: blanks around it go, ends of lines and tabs in it are read as \n and \t */
    const char *const *choices; /* FIELD_ENUM: NULL-terminated */
    bool quiet;                 /* FIELD_INT, FIELD_ENUM: not written while it is `absent` */
    int64_t absent;             /* the same: its value when nobody says one (an enum: the index) */
    const struct record *of;
    const char *doc;
};

struct record {
    const char *name;
    size_t size;
    const struct field *fields;
    size_t field_count;
};

#define FIELD(type, member, field_kind, ...) \
    { .name = #member, .kind = (field_kind), .offset = offsetof(type, member), __VA_ARGS__ }
#define RECORD(record_name, type, table) \
    { .name = (record_name), .size = sizeof(type), .fields = (table), \
      .field_count = sizeof(table) / sizeof *(table) }

/* Reads `value` into `*ret` (r->size bytes).  ERR_INVALID names the member
 * ("criteria[2].text") and what is allowed; unknown members are errors. */
int record_read(const struct record *r, struct arena *a, const json_t *value, void *ret,
                struct err *e);

/* As record_read; ret_where (size bytes) gets the path of the offending member, for
 * callers that know its line in a file. */
int record_read_at(const struct record *r, struct arena *a, const json_t *value, void *ret,
                   char *ret_where, size_t size, struct err *e);

/* Whether all its texts are UTF-8: JSON knows no others, and writing repairs them without a word.
 * ERR_INVALID names the member. */
int record_check_utf8(const struct record *r, const void *value, struct err *e);

/* A new JSON object; empty optional texts, lists and NULLs are left out. */
json_t *record_write(const struct record *r, const void *value);

/* A new JSON Schema object (flat: nested records inline, additionalProperties false). */
json_t *record_schema(const struct record *r);

/* The same in few words, for prompts: {"id": text, "kind"?: "a"|"b", "after"?: [text]}; a
 * question mark marks what may be left out.  Belongs to the arena. */
const char *record_shape(const struct record *r, struct arena *a);

const struct field *record_field(const struct record *r, const char *name);

/* ---- texts ---- */
bool texts_has(const struct texts *t, const char *item);
/* Appends; the array is copied into the arena.  For lists that were read or began empty; one
 * pointed at an array of the caller's must have a power of two of items. */
void texts_add(struct texts *t, struct arena *a, const char *item);
/* A new JSON array. */
json_t *texts_json(const struct texts *t);
/* "one, two and 7 more": the first `most` (0: all) with `between` between them. */
const char *texts_join(const struct texts *t, struct arena *a, const char *between, size_t most);
/* By bytes, in place. */
void texts_sort(struct texts *t);

#endif
