/* index.c - what an index holds of a document. */
#include "store/engine.h"

void index_value(const struct field *f, const json_t *value, const char **ret_text,
                 int64_t *ret_number)
{
    const json_t *member = json_object_get(value, f->name);
    *ret_text = NULL;
    *ret_number = 0;
    if (f->kind == FIELD_TEXT || f->kind == FIELD_ENUM) {
        const char *absent = f->kind == FIELD_TEXT ? "" : f->choices[0];
        *ret_text = json_is_string(member) ? json_string_value(member) : absent;
    } else if (f->kind == FIELD_BOOL) {
        *ret_number = json_is_true(member);
    } else if (json_is_integer(member)) {
        *ret_number = json_integer_value(member);
    } else if (f->min > 0) {
        *ret_number = f->min;
    }
}
