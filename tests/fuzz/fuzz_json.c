/* fuzz_json.c - JSON in prose, read by a record with every kind of field. */
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "model/answer.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct part {
    const char *name;
    int64_t count;
};
static const struct field part_fields[] = {
    FIELD(struct part, name, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct part, count, FIELD_INT, .min = 1, .max = 9),
};
static const struct record part_record = RECORD("part", struct part, part_fields);

struct whole {
    const char *title;
    int colour;
    bool good;
    double weight;
    struct texts words;
    struct part first;
    struct records parts;
    json_t *rest;
};
static const char *const colours[] = { "red", "green", NULL };
static const struct field whole_fields[] = {
    FIELD(struct whole, title, FIELD_TEXT, .required = true),
    FIELD(struct whole, colour, FIELD_ENUM, .choices = colours),
    FIELD(struct whole, good, FIELD_BOOL),
    FIELD(struct whole, weight, FIELD_REAL),
    FIELD(struct whole, words, FIELD_TEXTS, .max = 5),
    FIELD(struct whole, first, FIELD_RECORD, .of = &part_record),
    FIELD(struct whole, parts, FIELD_RECORDS, .of = &part_record, .max = 5),
    FIELD(struct whole, rest, FIELD_JSON),
};
static const struct record whole_record = RECORD("whole", struct whole, whole_fields);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_LOCAL(a);
    struct whole w, again;
    struct err e = { 0 };
    int r = answer_read_json(&a, (const char *)data, size, &whole_record, &w, &e);
    if (r < 0) {
        if (r != ERR_INVALID || !e.text[0])
            abort();
        return 0;
    }
    /* What was read can be written and read again.  (An absent record is written with its
     * empty texts left out, which its own rules may then miss.) */
    if (!w.first.name[0])
        return 0;
    json_t *written = json_keep(&a, record_write(&whole_record, &w));
    if (record_read(&whole_record, &a, written, &again, &e) < 0)
        abort();
    return 0;
}
