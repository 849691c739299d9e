/* setting.h - everything that can be configured, described once.
 *
 * A setting is one row of the table in setting.c: name, type, range, default, unit, one
 * line of documentation.  `tandem help settings`, the man page and the checks come from
 * the rows.  Values are read, the later ones winning, from
 *     the table's defaults
 *     $TANDEM_HOME/settings.yaml     pairs: 4
 *     the environment                TANDEM_PAIRS=4
 *     the command line               --set pairs=4
 * and remember where they came from, so that a complaint can say it.
 *
 * A path is made whole when it is read, for settings go to processes that were started elsewhere:
 * in settings.yaml it is meant from the directory of that file, else from `here`.
 *
 * Secrets are no settings: an API key is in TANDEM_API_KEY or a file of its own.
 *
 * Threads: a struct settings is written by one thread, and read by any when that is done.
 */
#ifndef TANDEM_SETTING_H
#define TANDEM_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

enum { SETTING_MAX = 96 }; /* rows; checked when compiling */

enum setting_sandbox { SETTING_SANDBOX_REQUIRED, SETTING_SANDBOX_NONE };
enum setting_when { SETTING_AUTO, SETTING_ALWAYS, SETTING_NEVER };

/* The meaning and unit of each member are in its row; read them there. */
struct settings {
    /* the team */
    int64_t pairs, attempts, review_rounds, replans;
    int64_t ticket_tokens, ticket_minutes, coverage_target;
    /* the queue */
    int64_t task_attempts, lease_s;
    /* talking to models */
    int64_t context_tokens, answer_tokens, map_tokens, answer_kib;
    int64_t connect_s, first_token_s, stall_s, total_s, patience_s, ollama_keep_s;
    const char *api_key_file, *ca_file, *nearby;
    /* running models */
    const char *models_dir, *llama_server;
    int64_t model_memory_mib, model_vram_mib, model_queue, slot_files_mib, model_load_s, model_ageing_s;
    int64_t embed_texts, embed_bytes, vectors_kept;
    /* serving */
    const char *listen, *hosts, *origins;
    bool keyless_local;
    int64_t queue_wait_s, http_connections, http_connections_per_address, http_workers, http_waiting;
    int64_t http_head_s, http_idle_s, http_grace_s, http_rate, http_stall_s, http_body_mib, http_bodies_mib;
    /* running tests */
    int64_t suite_timeout_s, prepare_timeout_s, cache_mib, memory_mib, processes;
    int64_t file_mib, tmp_mib, disk_mib, output_kib;
    int sandbox; /* enum setting_sandbox */
    bool network;
    const char *scratch;
    /* input */
    int64_t spec_kib, tree_files, tree_mib;
    /* the terminal */
    int color, unicode; /* enum setting_when */
    int log;            /* enum log_level */

    /* Where each value came from, by row: "default", "--set", "/x/settings.yaml:3". */
    const char *from[SETTING_MAX];
    struct arena *arena; /* holds texts and origins */
    const char *here;    /* the current directory of whoever says a value; NULL: paths must be whole */
};

enum setting_kind {
    SETTING_INT,    /* int64_t */
    SETTING_BOOL,   /* bool: true or false */
    SETTING_CHOICE, /* int: index into choices */
    SETTING_TEXT,   /* const char *, UTF-8; max: bytes */
    SETTING_PATH,   /* the same: "" or a whole path */
    SETTING_PROGRAM /* the same: a path, or a name without a slash */
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
    int64_t min, max;
    const char *const *choices; /* NULL-terminated */
    const char *preset;         /* the default, as one would write it */
    const char *unit;           /* "" for none; part of the documentation */
    const char *doc;            /* a phrase, lower case, no full stop */
    const char *group;          /* heading in the listing */
};

const struct setting *setting_table(size_t *ret_count);
/* NULL: there is none of that name. */
const struct setting *setting_find(const char *name);

/* All defaults, and no `here`.  `a` must outlive `s`. */
void settings_init(struct settings *s, struct arena *a);

/* One value; `from` is copied and named in errors:
 *     pairs is "40" (--set); allowed: 1 to 16
 * ERR_INVALID; an unknown name gets a suggestion. */
int setting_set(struct settings *s, const char *name, const char *value, const char *from,
                struct err *e);

/* The text of a settings.yaml: one mapping of names to values.  All of it or nothing. */
int settings_read_yaml(struct settings *s, const char *file_name, const char *text, size_t len,
                       struct err *e);
/* Every TANDEM_NAME in `environment` whose NAME is that of a setting, in capitals.  Other
 * variables are none of our business.  All or nothing. */
int settings_read_environment(struct settings *s, const char *const *environment, struct err *e);
/* "name=value", as given to --set. */
int settings_assign(struct settings *s, const char *assignment, struct err *e);

/* The value as one would write it. */
void setting_format(const struct setting *row, const struct settings *s, struct str *out);
/* "1 to 16", "true, false", "a text of at most 400 bytes". */
void setting_range(const struct setting *row, struct str *out);

#endif
