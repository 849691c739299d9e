/* map.h - the repository map: files and signatures, ranked for a ticket, within a budget.
 *
 * Signatures come from universal-ctags, run inside the sandbox, and are cached by blob id
 * for the life of the process, so that a new tree costs only its changed files.
 *
 * Threads: any; maps belong to their arena, the cache is locked.
 */
#ifndef TANDEM_MAP_H
#define TANDEM_MAP_H

#include "os/sandbox.h"
#include "repo/git.h"

struct map_symbol {
    const char *name, *kind; /* ctags' word: "function", "class", "member", "prototype" … */
    const char *type;        /* "double", "" where the language has none */
    const char *signature;   /* "(double value,char unit)", "" */
    const char *scope;       /* "Table", "Outer.Table"; "" */
    int64_t line, end_line;  /* from 1; end_line 0: it ends somewhere behind line */
    bool is_private;         /* of its file alone: static in C */
};
struct map_file {
    const char *path;
    int64_t size;
    struct map_symbol *symbols; /* in the order of the file */
    size_t count;
};
struct map { struct map_file *files; size_t count; }; /* sorted by path; every file of the tree */

/* Reads at most 5,000 files of 1 MiB and 1,000 symbols of each; files beyond that are in
 * the map without symbols, as are files ctags does not know.  ERR_UNAVAILABLE: no ctags. */
int map_build(struct repo *r, struct sandbox *sb, const struct oid *tree, struct arena *a, struct map *ret, struct err *e);

/* Takes out of a map what says nothing in a prompt: symbols of build files and of files that
 * nobody may edit (their names stay), helpers that a test file keeps to itself.  Symbols are
 * still found by name in a map that was not trimmed. */
struct stack;
void map_trim(struct map *m, const struct stack *s);

/* The map as text for a prompt: what is most relevant to `query` is in, the output is
 * sorted by path; at most `max_tokens` (a token taken as three bytes, which overestimates);
 * what was left out is counted in a last line.  The same input gives the same bytes.
 *
 * Relevance is BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009)
 * of the query's words in paths and symbols, both split at camelCase and underscores. */
const char *map_render(const struct map *m, struct arena *a, const char *query, int64_t max_tokens);

const struct map_file *map_find(const struct map *m, const char *path);
/* A symbol of a file by name, "Table.add" or "Table::add" with its scope; where there are
 * several, the first with a body.  NULL: none. */
const struct map_symbol *map_symbol_find(const struct map *m, const char *path, const char *symbol);

#endif
