/* connection.h - a connection to SQLite with its prepared statements.
 *
 * Threads: a connection belongs to one thread at a time.
 */
#ifndef TANDEM_SQLITE_CONNECTION_H
#define TANDEM_SQLITE_CONNECTION_H

#include "base/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/* The writer creates the file.  A reader never changes a byte of it; ERR_NOT_FOUND when
 * there is none. */
int connection_open(struct connection **ret, const char *file, bool writer, struct err *e);
void connection_close(struct connection *c); /* NULL is allowed */

/* Runs statements without parameters and results. */
int connection_run(struct connection *c, const char *sql, struct err *e);
/* The first column of the first row as a number. */
int connection_number(struct connection *c, const char *sql, int64_t *ret, struct err *e);

/* A prepared statement from the cache, parameters unset.  End it before preparing the same
 * text again. */
int statement_begin(struct connection *c, const char *sql, sqlite3_stmt **ret, struct err *e);
/* 1: a row; 0: no more. */
int statement_step(struct connection *c, sqlite3_stmt *st, struct err *e);
/* Steps a statement that yields no rows, and ends it. */
int statement_finish(struct connection *c, sqlite3_stmt *st, struct err *e);
void statement_end(sqlite3_stmt *st); /* NULL is allowed */

/* Texts and bytes are borrowed until the statement ends; NULL is bound as empty. */
void bind_text(sqlite3_stmt *st, int at, const char *text);
void bind_bytes(sqlite3_stmt *st, int at, const void *bytes, size_t len);
/* A column's text, "" for NULL; valid until the next step. */
const char *column_text(sqlite3_stmt *st, int at);
const void *column_bytes(sqlite3_stmt *st, int at, size_t *ret_len);

/* Turns what SQLite last said into an error of ours. */
int connection_fail(struct connection *c, struct err *e);
sqlite3 *connection_handle(struct connection *c);
/* Whether the last failure leaves unknown what is on disk. */
bool connection_lost_sync(struct connection *c);

#endif
