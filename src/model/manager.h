/* model/manager.h - the models of a home: started, loaded, shared, evicted, watched.
 *
 * A manager runs what the registry names.  Each copy of a model is an instance with a keeper
 * thread of its own, which walks its life (enum life); calls wait in a queue for each model
 * until an instance is ready and a slot is free (policy.h says which).  Models are loaded when
 * somebody asks for them, pinned ones at once, and leave when they are idle for as long as their
 * entry says or when another one needs the memory.
 *
 * Changes of the registry take effect with manager_reload: a model's new version is loaded
 * beside the old one where memory allows, and takes over when it is ready; no call is dropped.
 *
 * One manager at a time works on a home (the store's lock sees to that).
 *
 * Threads: any, but for manager_open and manager_free.
 */
#ifndef TANDEM_MODEL_MANAGER_H
#define TANDEM_MODEL_MANAGER_H

#include "model/chat.h"
#include "model/policy.h"
#include "os/sandbox.h"
#include "store/store.h"

struct arena;
struct err;
struct manager;

enum life {
    LIFE_STOPPED,
    LIFE_RESERVING,   /* waits for memory */
    LIFE_SPAWNING,
    LIFE_LOADING,
    LIFE_PROBING,     /* is it the right one, and does it answer? */
    LIFE_READY,
    LIFE_SUSPECT,     /* a call failed: it is asked whether it still lives */
    LIFE_DRAINING,    /* takes no more calls, ends those it has */
    LIFE_STOPPING,
    LIFE_FAILED,      /* tried again after a pause */
    LIFE_QUARANTINED, /* crashed too often: not before a person says so */
    LIFE_COUNT,
};
extern const char *const life_names[];

struct manager_limits {
    struct room room;         /* ram_mib 0: three quarters of the machine's */
    int64_t queue;            /* calls that may wait for one model */
    int64_t live_ms;          /* a conversation untouched for so long gives up its slot */
    int64_t slot_files_mib;   /* what conversations keep in files while they have no slot; 0: nothing */
    int64_t load_ms, probe_ms, drain_ms, stop_ms;
    int64_t pause_ms, max_pause_ms; /* after a failure; doubled each time */
    int64_t crashes, crash_window_ms; /* so many within: quarantine */
};
extern const struct manager_limits manager_default_limits;

/* A call that has ended. */
struct manager_call {
    const char *model;    /* the id of who was asked */
    int64_t prompt_tokens, cached_tokens, completion_tokens;  /* -1: not reported */
    int64_t queue_us, first_token_us, total_us; /* since it was made; first_token_us -1: none came */
    bool failed, cancelled;
};

struct manager_options {
    struct store *store;      /* borrowed; only read */
    const char *models_dir;   /* the files */
    const char *run_dir;      /* sockets and what tells of children; short: a socket's path has at most 107 bytes */
    const char *slots_dir;    /* for these; it is made.  NULL: nowhere */
    const char *llama_server; /* the program for backends that name none */
    enum sandbox_mode sandbox; /* of adapters; opened for the first of them, in `scratch` (NULL: wherever is best) */
    const char *scratch;
    struct manager_limits limits;
    struct model_options chat; /* time-outs */
    /* An instance changed its state; `why` is "" or a sentence.  On its keeper's thread, without
     * locks held.  May be NULL. */
    void (*moved)(const char *model, int64_t replica, enum life from, enum life to, const char *why, void *ctx);
    /* A call ended, on the caller's thread.  Not one that was passed on (model_forward): what came of that
     * only who passed it on knows.  May be NULL. */
    void (*called)(const struct manager_call *c, void *ctx);
    void *ctx;
};

/* Ends what a dead manager left behind, and begins to load what is pinned. */
int manager_open(struct manager **ret, const struct manager_options *o, struct err *e);
/* Ends all children, which takes at most the grace of one.  No call may be under way. */
void manager_free(struct manager *m);
/* Looks at the registry again. */
int manager_reload(struct manager *m, struct err *e);

/* Loads a model and waits until it is ready; takes one out of quarantine. */
int manager_load(struct manager *m, const char *model, const atomic_bool *cancel, struct err *e);
/* Lets it go when its calls have ended; ERR_REFUSED for a pinned one. */
int manager_unload(struct manager *m, const char *model, struct err *e);

/* An ordinary model that is whatever the registry names so at the moment of each call: a model's
 * id, or a role, which is its route's primary (`step` 0) or the step-th fallback, at most the last
 * one.  model_free it before the manager. */
struct model *manager_model(struct manager *m, const char *name, size_t step);
/* Models that a role is escalated along, itself counted; 0: there is no such route or model. */
size_t manager_steps(struct manager *m, const char *name);

/* ---- looking ---- */

struct manager_slot {
    bool busy;
    const char *conversation;
};
struct manager_instance {
    const char *model;
    int64_t version, replica;
    enum life life;
    const char *why;         /* of LIFE_FAILED, LIFE_QUARANTINED; "" */
    bool retired, pinned;
    int64_t since_ms;        /* steady clock: in this state since */
    int64_t pid;             /* 0: no child */
    int64_t context, ram_mib, vram_mib;
    int64_t load_ms;         /* what its last loading took */
    int64_t in_flight, waiting; /* waiting: for the model, with its first instance only */
    int64_t calls, crashes;
    struct manager_slot *slots;
    size_t slot_count;
};
struct manager_picture {
    struct room room;
    int64_t ram_mib, vram_mib; /* reserved */
    struct manager_instance *instances;
    size_t count;
};
void manager_look(struct manager *m, struct arena *a, struct manager_picture *ret);

#endif
