/* cli/models.h - what the commands about models share. */
#ifndef TANDEM_CLI_MODELS_H
#define TANDEM_CLI_MODELS_H

#include "cli/session.h"
#include "model/registry.h"

/* Where the files of models are. */
const char *models_dir(struct session *s);
/* Of a folder of models that other homes may use as well; NULL: it is the home's own. */
const char *models_user(struct session *s);
/* A model or role of the registry, asked through the server that has the home, or from here;
 * `context`: tokens, 0: not known. */
int models_open(struct session *s, const char *name, int64_t context, struct model **ret, struct err *e);
/* Changes of the registry, made here or by the server that has the home. */
int models_put(struct session *s, const struct registry *change, struct err *e);
int models_drop(struct session *s, enum registry_kind kind, const char *id, struct err *e);
int models_import_yaml(struct session *s, const char *path, const char *text, size_t len, struct err *e);
/* Takes a GGUF file in; `id` and `sha256` may be NULL. */
int models_import_file(struct session *s, const char *path, const char *id, const char *sha256, struct err *e);
struct gguf_info;
/* What a GGUF file says of itself, in its entry. */
void models_describe(const struct gguf_info *info, struct model_entry *entry);
/* What can be wrong with `id` and `sha256` (may be NULL), before a file of many gigabytes is read. */
int models_check_names(struct session *s, const char *id, const char *sha256, struct err *e);
/* The id that goes with a file's name. */
const char *models_id_of_path(struct arena *a, const char *path);
bool models_is_folder(const char *path);

/* ---- models_adapter.c ---- */
/* Takes an adapter's folder in, and a model's file with it (NULL: none), of whatever form. */
int models_import_adapter(struct session *s, const char *folder, const char *file, const char *id, const char *sha256, struct err *e);
/* Takes in the folders that backends name, and names what was taken in instead; `beside`: the file they stand in. */
int models_take_folders_in(struct session *s, const struct registry *change, const char *beside, struct err *e);
/* Takes away what only this model used; `before` is the registry with it. */
int models_drop_adapter(struct session *s, const struct registry *before, const struct model_entry *gone, struct err *e);

/* Takes an entry away, and the file when nobody else refers to it. */
int models_remove(struct session *s, const char *id, struct err *e);

extern const struct command action_load, action_unload, action_ask; /* cmd_model_ask.c */
extern const struct command action_embed;                           /* cmd_model_embed.c */
extern const struct command action_log;                             /* cmd_model_log.c */
extern const struct command action_exam;                            /* cmd_model_exam.c */

#endif
