/* share.h - the files Tandem ships with: prompts, stacks, playbooks, templates, assets.
 *
 * They are inside the binary.  A file of the same path in an override directory
 * (team_overrides) wins, so that people can change a prompt without building.
 *
 * `override_dirs` is a NULL-terminated array, strongest first, or NULL for none.
 * Directories that do not exist are skipped.  Threads: any.
 */
#ifndef TANDEM_SHARE_H
#define TANDEM_SHARE_H

#include "base/record.h"

#include <stddef.h>

struct arena;
struct err;

/* The bytes of share/PATH ("prompts/tester.md"), a NUL behind them.  ERR_NOT_FOUND;
 * ERR_LIMIT: an override of more than 4 MiB; ERR_REFUSED: an override that is reached by a
 * link, or a path that leaves its directory. */
int share_read(struct arena *a, const char *path, const char *const *override_dirs,
               const char **ret, size_t *ret_len, struct err *e);

/* What to call the file that share_read reads, in errors: an override's whole path, of ours the
 * path below share/. */
const char *share_where(struct arena *a, const char *path, const char *const *override_dirs);

/* Paths below share/ that start with `prefix`, which names a folder at least ("stacks/",
 * "prompts/te"); overrides included, sorted, each once. */
int share_list(struct arena *a, const char *prefix, const char *const *override_dirs,
               struct texts *ret, struct err *e);

#endif
