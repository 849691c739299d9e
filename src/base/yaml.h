/* yaml.h - files that people write (stacks, playbooks, settings), into described structs.
 *
 * YAML 1.2 by libfyaml, which no other file includes, less what configuration does not
 * need: one document, no tags, text keys only, each key once.  At most 1 MiB, 20,000
 * values (an alias counts as many as it repeats, so "billion laughs" is refused), 32
 * levels, 2,000 keys in one mapping.  NUL and bytes that are not UTF-8 are refused.
 *
 * Plain scalars are typed: null, ~ and nothing; true and false; whole numbers that fit
 * int64_t without leading zeros; numbers with a point.  All else is text: quoted "1" and
 * plain yes, 007 and 0x1f.  Where a described field is text (or an enum, or a list of
 * texts), a plain number or truth value is read as it was written: `version: 3.10` gives
 * "3.10".
 *
 * Errors read
 *     stacks/python.yaml:14: results.format is "xunit"; allowed: tap, junit
 */
#ifndef TANDEM_YAML_H
#define TANDEM_YAML_H

#include "base/record.h"

#include <stddef.h>

struct arena;
struct err;
struct str;
struct yaml; /* a parsed file; lives in its arena */

/* `file_name` is what errors call the text; both are copied. */
int yaml_parse(struct arena *a, const char *file_name, const char *text, size_t len,
               struct yaml **ret, struct err *e);

/* The document as JSON, belonging to the arena. */
json_t *yaml_json(const struct yaml *y, struct arena *a);
/* The same of one that is to be read by a record: what it wants as text is text, also "20" and "true". */
json_t *yaml_json_as(const struct yaml *y, struct arena *a, const struct record *r);

/* The line of a member by path ("results.format", "scaffold[2].path"), or of its nearest
 * ancestor that is there; lines start with 1. */
int yaml_line(const struct yaml *y, const char *path);

/* As record_read on the document; errors carry file and line. */
int yaml_record(const struct yaml *y, struct arena *a, const struct record *r, void *ret, struct err *e);

/* Adds the top-level members of `base` that `y` lacks; both must be mappings.  Their lines
 * are the base's. */
void yaml_inherit(struct yaml *y, const struct yaml *base, struct arena *a);

/* A fault that the caller found in a member: "FILE:LINE: PATH TEXT".  Returns ERR_INVALID. */
int yaml_fault(const struct yaml *y, const char *path, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* yaml_parse and yaml_record in one. */
int yaml_read_record(const char *file_name, const char *text, size_t len, const struct record *r,
                     struct arena *a, void *ret, struct err *e);

/* Appends a JSON value as YAML for a person to edit: one member a line, texts of several
 * lines as such.  yaml_parse gives the same value back. */
void yaml_write(struct str *out, json_t *value);

#endif
