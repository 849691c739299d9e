/* json.h - Jansson with arenas, errors and shorter getters.
 *
 * Values are Jansson's json_t.  A value given to an arena lives as long as it.
 */
#ifndef TANDEM_JSON_H
#define TANDEM_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

/* Parses exactly one value of at most `len` bytes; duplicate keys and bytes that are
 * not UTF-8 are errors.  The result belongs to the arena. */
int json_parse(struct arena *a, const char *text, size_t len, json_t **ret, struct err *e);

/* Hands a reference over to the arena and returns the value. */
json_t *json_keep(struct arena *a, json_t *value);

/* Appends the canonical form: compact, keys sorted, UTF-8.  Equal values give equal bytes. */
void json_write(struct str *out, const json_t *value);

/* Getters of an object's members; the fallback when absent or of another type. */
const char *json_text_of(const json_t *object, const char *key, const char *fallback);
int64_t json_int_of(const json_t *object, const char *key, int64_t fallback);
bool json_bool_of(const json_t *object, const char *key, bool fallback);

/* Setters abort when memory runs out. */
void json_put_text(json_t *object, const char *key, const char *text);
void json_put_int(json_t *object, const char *key, int64_t value);
void json_put_bool(json_t *object, const char *key, bool value);
/* Takes over the reference. */
void json_put(json_t *object, const char *key, json_t *value);
/* A JSON string of any bytes; those that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *text, size_t len);

#endif
