/* map.h - the repository map: files and signatures, ranked for a ticket, within a budget.
 *
 * Signatures come from universal-ctags, run inside the sandbox, and are cached by blob id.
 */
#ifndef TANDEM_MAP_H
#define TANDEM_MAP_H

#include "os/sandbox.h"
#include "repo/git.h"

struct map_symbol { const char *name, *kind, *signature, *scope; int64_t line, end_line; };
struct map_file { const char *path; int64_t size; struct map_symbol *symbols; size_t count; };
struct map { struct map_file *files; size_t count; }; /* sorted by path */

/* Symbols of every source file of the tree. */
int map_build(struct repo *r, struct sandbox *sb, const struct oid *tree, struct arena *a, struct map *ret, struct err *e);
/* The map as text for a prompt: most relevant to `query` first decides what is in, output is
 * sorted by path; at most `max_tokens`; what was left out is counted in a last line. */
const char *map_render(const struct map *m, struct arena *a, const char *query, int64_t max_tokens);
const struct map_file *map_find(const struct map *m, const char *path);
/* "path:symbol": the symbol's lines; plain path: NULL symbol. */
const struct map_symbol *map_symbol_find(const struct map *m, const char *path, const char *symbol);

#endif
