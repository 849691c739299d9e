/* model/registry.h - which models there are, where they run, and who uses which.
 *
 * Three types of document: a backend is a place where models run, a model is one of them
 * with all that is needed to run it well, a route says which model serves a role and which
 * one it is escalated to.  The store is the truth; a file (models.yaml) imports and exports
 * it.  A change is one batch with one event for each entry, checked as a whole before.
 *
 * Ids are a letter or digit, then letters, digits and "._:-".
 *
 * Threads: any; results live in the caller's arena.
 */
#ifndef TANDEM_REGISTRY_H
#define TANDEM_REGISTRY_H

#include "base/record.h"
#include "store/store.h"

struct arena;
struct err;
struct str;

enum backend_kind {
    BACKEND_LLAMA_SERVER, /* a child of ours for each model */
    BACKEND_OPENAI,       /* anything with an OpenAI-compatible address */
    BACKEND_OLLAMA,
    BACKEND_ADAPTER,      /* a program that speaks lines of JSON, in the sandbox */
};

/* Each entry begins with its id. */
struct backend_entry {
    const char *id;
    int kind;                 /* enum backend_kind */
    const char *url;          /* openai, ollama */
    const char *program;      /* llama-server: its path, "" for the one in the PATH; adapter: its folder (adapter_shelf.h) */
    const char *key_file, *ca_file;
    struct texts environment; /* of a program: "CUDA_VISIBLE_DEVICES=0" */
};

/* Copies of all models together: each has a thread that looks after it, loaded or not. */
enum { REGISTRY_COPIES = 128 };

enum edit_format { EDIT_FILES, EDIT_BLOCKS }; /* whole files; search/replace blocks */

struct model_entry {
    const char *id;
    const char *backend;
    const char *name;         /* what the backend calls it; "": the id */
    int64_t version;          /* raised by each import under the same id */
    const char *file;         /* SHA-256 of its file in the repository; "": the backend has it */
    int64_t bytes, parameters, trained_context;
    const char *architecture, *quantisation, *template_digest;
    struct texts capabilities; /* "chat", "embed" */
    int64_t context;          /* tokens of one conversation; 0: what the file or the server says */
    int64_t slots;            /* answers at once */
    int64_t replicas;         /* copies that share the work */
    const char *gpu_layers;   /* a number, "all" or "auto"; "": not configured, nothing is said to the server */
    int64_t memory_mib, vram_mib; /* 0: estimated, then measured */
    int64_t cache_mib;        /* for prompts of conversations that lost their slot */
    bool pinned;              /* loaded at the start, never evicted */
    int64_t idle_s;           /* evicted after so long without an answer; 0: when memory is needed */
    json_t *sampling;         /* {"top_p": 0.9}; NULL: the server's */
    int edit_format;          /* enum edit_format */
    struct texts arguments;   /* more for the server's command line */
};

struct route_entry {
    const char *id;       /* the role */
    const char *primary;
    const char *fallback; /* a model, or a role whose route goes on from there; "": none */
    /* What the exam must have shown of any model that is to serve the role, its fallbacks too; 0: nothing. */
    int64_t min_context;  /* tokens */
    int64_t min_schema, min_edits; /* percent; edits: in the form that the model is asked for */
};

enum registry_kind { REGISTRY_BACKEND, REGISTRY_MODEL, REGISTRY_ROUTE, REGISTRY_KINDS };
extern const struct doc_type backend_type, model_type, route_type;
extern const char *const backend_kind_names[], *const edit_format_names[];
/* Roles that a route may be for: those of a team, "resource-director" and "embedding". */
extern const char *const route_roles[];

/* All of it, or what a file says. */
struct registry {
    struct records backends, models, routes;
    struct records exams; /* struct exam_card of models as they are now; not part of a file */
};
extern const struct record registry_record;

/* The llama-server backend is always there, also when the store has none. */
int registry_load(struct store *s, struct arena *a, struct registry *ret, struct err *e);
const struct backend_entry *registry_backend(const struct registry *r, const char *id);
const struct model_entry *registry_model(const struct registry *r, const char *id);
const struct route_entry *registry_route(const struct registry *r, const char *role);

/* What a model of a role or of this name is: its own id, or the primary of the role's route. */
int registry_resolve(const struct registry *r, const char *name, const struct model_entry **ret, struct err *e);

/* The models of a role in the order of escalation, each once; of a model's own name, itself.  Models
 * that do not show what the role's route requires are left out; ERR_REFUSED with what each lacks,
 * when no other is left. */
int registry_chain(const struct registry *r, struct arena *a, const char *name, struct texts *ret, struct err *e);

/* ---- what exams have shown (registry_exam.c) ---- */

struct exam_card;
/* Of the model's present version; NULL: it was not examined. */
const struct exam_card *registry_exam(const struct registry *r, const char *model);
/* Appends what the model does not show of what the route requires: "schema 40 % of 80 %", or that it
 * was not examined; nothing: it may serve. */
void registry_lacks(const struct registry *r, const struct route_entry *route, const char *model, struct str *out);
/* Whether all that serve a role, or the model of this name, are set to search/replace blocks and
 * their exams allow it. */
bool registry_edits_by_blocks(const struct registry *r, const char *name);
/* With no more than the store knows: models without an exam, or with errors, are as not examined. */
void registry_load_exams(struct store *s, struct arena *a, struct registry *r);

/* Whether the entries of `part` hold together with those of `all` (which has them too): ids, what
 * refers to what, no fallback in a circle, each kind with what it needs.  ERR_INVALID; `where`
 * (may be NULL) gets the path of what is wrong ("models[2].backend"), whose place `e` leaves out
 * then.  With `all` itself as the part, what a store has is looked at: rules of what can be run do not
 * count, so that an entry from before them stands in nobody's way. */
int registry_check(const struct registry *all, const struct registry *part, char *where, size_t size, struct err *e);

/* Puts the entries of `changes` in place of those of the same id, or beside them.  The result is
 * checked first, nothing is written when nothing changes. */
int registry_put(struct store *s, const struct registry *changes, const char *person, struct err *e);
/* ERR_NOT_FOUND; ERR_REFUSED while something else refers to it, which the text names. */
int registry_remove(struct store *s, enum registry_kind kind, const char *id, const char *person, struct err *e);

/* ---- models.yaml ---- */
/* Reads a file of entries, checks them against what is there, and hands them to `put` (registry_put,
 * or whoever can write).  ERR_INVALID names file and line. */
int registry_import_yaml(struct store *s, const char *file_name, const char *text, size_t len,
                         int (*put)(const struct registry *changes, void *ctx, struct err *e), void *ctx, struct err *e);
void registry_write_yaml(const struct registry *r, struct str *out);

#endif
