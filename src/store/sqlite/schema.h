/* schema.h - the tables of a home.
 *
 * Fixed tables (events, blobs, the head of the log) change by numbered migrations.  The
 * tables of documents follow from their descriptions:
 *
 *     doc_ticket(n, id, version, body, f_state, f_priority)   a column and an index for
 *                                                             each indexed field
 *     text_ticket(f_title, f_body)                            FTS5, when fields are searched
 *
 * Both are made, and changed when a description changed, from the bodies.
 */
#ifndef TANDEM_SQLITE_SCHEMA_H
#define TANDEM_SQLITE_SCHEMA_H

#include "base/arena.h"
#include "store/engine.h"
#include "store/sqlite/connection.h"

#include <jansson.h>

/* The SQL of one type, prepared once. */
struct doc_table {
    const struct doc_type *type;
    const struct field **indexed, **searched;
    size_t indexed_count, searched_count;
    /* ?1 id, ?2 version, ?3 body, then the indexed fields.  An update and a delete expect
     * version ?2 - 1. */
    const char *insert, *update, *erase;
    const char *version; /* of id ?1 */
    const char *get;     /* id, version, body of ?1 */
    /* NULL without searched fields: of the document with id ?1, then the searched fields. */
    const char *text_insert, *text_erase;
};

/* Describes a type; everything belongs to the arena.  ERR_INVALID: a name or a field that
 * cannot be one. */
int doc_table_describe(struct doc_table *ret, struct arena *a, const struct doc_type *t, struct err *e);
/* Binds the indexed fields of a document from parameter `at` on. */
void doc_table_bind(const struct doc_table *t, sqlite3_stmt *st, int at, const json_t *value);
/* Makes the text of document `id` searchable, or no longer. */
int doc_table_text_add(const struct doc_table *t, struct connection *c, const char *id,
                       const json_t *value, struct err *e);
int doc_table_text_remove(const struct doc_table *t, struct connection *c, const char *id, struct err *e);

/* upgrade.c: makes a type's tables agree with its description.  Within a transaction. */
int doc_table_upgrade(const struct doc_table *t, struct connection *c, struct err *e);

/* Makes or updates all tables, in one transaction. */
int schema_update(struct connection *c, const struct doc_table *tables, size_t count, struct err *e);
/* For readers: whether this program understands the home. */
int schema_check(struct connection *c, struct err *e);

#endif
