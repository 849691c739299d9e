/* model/adapter_shelf.h - the folders of adapters in the repository of model files.
 *
 * Each lies there under the digest of its names, modes and bytes, beside the files of models
 * (model/shelf.h), so that it survives the folder it came from, and an entry of the registry names
 * exactly what is run: its `program` is "sha256:DIGEST".
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_ADAPTER_SHELF_H
#define TANDEM_MODEL_ADAPTER_SHELF_H

#include "base/digest.h"

#include <stdbool.h>

struct arena;
struct err;

#define ADAPTER_SHELF_PREFIX "sha256:"

/* "DIR/DIGEST.adapter"; of what an entry names, NULL when that is no digest. */
const char *adapter_shelf_path(struct arena *a, const char *dir, const char *program);

/* Whether a folder can be an adapter: ERR_NOT_FOUND, ERR_INVALID (no program, links), ERR_LIMIT (more
 * than 1,000 files or 64 MiB). */
int adapter_folder_check(const char *folder, struct err *e);
/* Copies it into `dir`, less what version control and Python keep in it; *ret_program becomes what an
 * entry names.  In the arena. */
int adapter_shelf_put(struct arena *a, const char *folder, const char *dir, const char **ret_program, bool *ret_was_there, struct err *e);
/* ERR_NOT_FOUND. */
int adapter_shelf_remove(const char *dir, const char *program, struct err *e);

#endif
