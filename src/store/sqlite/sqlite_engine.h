/* sqlite_engine.h - the embedded engine: one SQLite database in the home.
 *
 * HOME/store.db, in WAL mode with synchronous=FULL: a commit is one append to the WAL and
 * one sync.  One connection writes, a small pool reads beside it.
 */
#ifndef TANDEM_SQLITE_ENGINE_H
#define TANDEM_SQLITE_ENGINE_H

#include "store/engine.h"

extern const struct store_engine sqlite_engine;

/* Tests: lets the database grow by at most `pages` pages from now on (SQLite's
 * max_page_count), which is met as a full disk is; negative: no limit. */
void sqlite_engine_limit(struct engine *g, int64_t pages);

#endif
