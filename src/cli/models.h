/* cli/models.h - what the commands about models share. */
#ifndef TANDEM_CLI_MODELS_H
#define TANDEM_CLI_MODELS_H

#include "cli/session.h"
#include "model/registry.h"

/* Where the files of models are. */
const char *models_dir(struct session *s);
/* Takes a GGUF file in; `id` and `sha256` may be NULL. */
int models_import_file(struct session *s, const char *path, const char *id, const char *sha256, struct err *e);
/* Takes an entry away, and the file when nobody else refers to it. */
int models_remove(struct session *s, const char *id, struct err *e);

extern const struct command action_load, action_ask; /* cmd_model_ask.c */

#endif
