/* manager_internal.h - what the parts of the manager share.
 *
 * manager.c    opening, the registry, looking
 * instance.c   the keeper of an instance and its life
 * keeping_llama.c, keeping_adapter.c, keeping_remote.c  an instance that is a llama-server of ours,
 *              an adapter, or on somebody else's server
 * admission.c  calls that wait, and who gets a slot
 * slot_files.c what conversations had in their slots, as files
 * managed.c    a model that is asked through all this
 *
 * manager->lock guards everything below but what is said to belong to the keeper.  It is not
 * held while anything slow is done.
 */
#ifndef TANDEM_MANAGER_INTERNAL_H
#define TANDEM_MANAGER_INTERNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "model/backend.h"
#include "model/manager.h"
#include "model/registry.h"
#include "os/service.h"

#include <pthread.h>

/* Instances: the copies of the registry, and older versions that are leaving. */
enum { MAX_INSTANCES = 4 * REGISTRY_COPIES, MAX_SLOTS = 64, MAX_CRASHES = 8 };

struct waiter {
    struct waiter *next;
    char conversation[CONVERSATION_NAME]; /* "": a side call */
    int64_t since_ms;
    int64_t granted_us;
    pthread_cond_t granted;    /* while it waits */
    struct instance *instance; /* NULL: not yet */
    size_t slot;
    bool is_new;               /* the slot does not hold this conversation, */
    char before[CONVERSATION_NAME]; /* ... but this one, which may go on; "": none */
};

/* A model of the registry, with those who wait for it.  Never freed before the manager: callers
 * hold it while they wait. */
struct pool {
    struct pool *next;
    char *model;              /* its id */
    struct waiter *waiters;   /* the one waiting longest first */
    int64_t waiting;
    size_t turn;              /* where the next choice of a slot begins */
    int64_t held_us;          /* how long a call lately kept its slot, on average; 0: there was none */
    bool gone;                /* the registry has it no more */
};

struct instance {
    struct manager *manager;
    struct instance *next;
    struct pool *pool;
    struct arena arena;        /* holds the entries; written before the keeper begins */
    struct model_entry entry;
    struct backend_entry backend;
    int64_t replica;
    pthread_t keeper;
    bool keeper_ended;         /* to be joined and freed */

    enum life life;
    int64_t since_ms;
    char why[sizeof ((struct err *)0)->text];
    int why_code;
    bool asked;                /* by manager_load; until it is ready or failed */
    bool leave;                /* it is to drain: for another one, or by manager_unload */
    bool retired;              /* a newer version or nobody takes its place */
    atomic_bool over;          /* it is retired, or the manager closes: the keeper need not wait for anything */
    bool was_loaded;           /* the keeper's: others had it loaded before */
    bool suspect;              /* a call failed in a way that may be its fault */
    bool released;             /* out of quarantine */
    bool reserved;
    int64_t ram_mib, vram_mib; /* reserved, or needed */
    int64_t context;           /* tokens of a slot; may have been halved */
    int64_t gpu_cut;           /* times its GPU layers were halved */
    int64_t short_ms;          /* when it lacked memory last; 0: never */
    bool crowded;              /* it lacks memory that is in the ledger: waits until those who leave are gone */
    int64_t used_ms, ready_ms, load_ms;
    int64_t in_flight, calls, failures;
    int64_t crash_ms[MAX_CRASHES];
    int64_t crashes;
    struct slot slots[MAX_SLOTS];
    size_t slot_count;
    struct model *model;       /* from LIFE_PROBING on; freed by the keeper when nothing is in flight */

    struct service *service;   /* the keeper's; NULL: no child.  `lock` guards the pointer */
    struct adapter *adapter;   /* the keeper's, until its model owns it; NULL: it is none, or none runs */
    const char *name;          /* of its files in run_dir */
    uint64_t nudges, nudges_seen; /* for keepers without a child to wait for */
};

struct manager {
    struct manager_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;    /* on the steady clock; waited for with instance_nudge in mind */
    struct arena texts;        /* what the options point to */
    struct arena *arena;       /* holds `registry`; replaced as a whole */
    struct registry registry;
    struct pool *pools;
    struct instance *instances;
    bool closing;
    int64_t serial;            /* instances so far */
    char *llama_help;          /* of llama_help_of; guarded by help_lock */
    char *llama_help_of;
    bool llama_devices;        /* it would compute on something else than the processor */
    struct sandbox *sandbox;   /* NULL: no adapter was started yet; guarded by help_lock, too */
    pthread_mutex_t help_lock;
};

static inline void manager_lock(struct manager *m) { pthread_mutex_lock(&m->lock); }
static inline void manager_unlock(struct manager *m) { pthread_mutex_unlock(&m->lock); }
/* With the lock held: until something changes, or `ms` are over. */
void manager_wait(struct manager *m, int64_t ms);
/* With the lock held: wakes all callers and keepers. */
void manager_wake(struct manager *m);
struct pool *manager_pool(struct manager *m, const char *model);

/* ---- instance.c ---- */
int instance_start(struct manager *m, struct pool *p, const struct model_entry *entry, const struct backend_entry *backend,
                   int64_t replica, struct err *e);
/* Joins and frees; its keeper has ended, or will at once. */
void instance_free(struct instance *i);
/* With the lock held: whether calls may go to it. */
static inline bool instance_is_open(const struct instance *i)
{
    return i->life == LIFE_READY && !i->leave && !i->suspect;
}
/* Crashed or refused within its pause: those who wait are told `why`. */
static inline bool instance_is_down(const struct instance *i)
{
    return i->life == LIFE_FAILED || i->life == LIFE_QUARANTINED;
}
/* It failed, and those who wait may go on waiting: until its crashes are too many, or a server of
 * somebody else's has been away for as many tries. */
bool instance_may_recover(const struct instance *i);

/* What a kind of instance does; all on the keeper's thread, without the lock. */
struct keeping {
    /* Tokens of a slot before anything is known but the entry; 0: it has to be asked. */
    int64_t (*context)(const struct instance *i);
    /* What it will need; before each try. */
    int (*measure)(struct instance *i, int64_t *ret_ram_mib, int64_t *ret_vram_mib, struct err *e);
    int (*spawn)(struct instance *i, struct err *e);
    /* Whether it can be asked now; waits up to `wait_ms` for that.  An error: it never will be. */
    int (*load)(struct instance *i, int64_t wait_ms, bool *ret_ready, struct err *e);
    /* Opens the model that calls go to, and makes sure that it is the right one and answers. */
    int (*probe)(struct instance *i, struct model **ret, struct err *e);
    /* Whether it still lives; after doubts. */
    int (*ask)(struct instance *i, struct err *e);
    bool is_ours;     /* a child of ours: when it fails too often it is left alone until a person says otherwise */
    /* Lets a slot be written to a file of slots_dir, or read ("save", "restore"); the caller has the slot.
     * On any thread.  NULL: it cannot. */
    int (*slot)(struct instance *i, size_t slot, const char *action, const char *file, int64_t total_ms, const atomic_bool *cancel,
                int64_t *ret_bytes);
    /* Waits for up to `wait_ms` or until instance_nudge; false: it has ended. */
    bool (*watch)(struct instance *i, int64_t wait_ms);
    /* Asks for less the next time: half the context while the roles can live with that, else, with
     * `layers_too`, half the layers on the GPU; false: there is nothing left.  NULL: always. */
    bool (*less)(struct instance *i, bool layers_too);
    /* Ends it.  `e` is NULL when it is to go, else has why it failed, and is given better words
     * where there are any; true: it lacked memory when it was loaded. */
    bool (*stop)(struct instance *i, struct err *e);
};
extern const struct keeping keeping_adapter, keeping_llama, keeping_ollama, keeping_remote;

/* ---- keeping_remote.c: what the kinds that others keep have in common ---- */
/* Opens what the entry names; o->url is set. */
int remote_open(const struct instance *i, struct model_options *o, struct model **ret, struct err *e);
/* As keepers tell a failure: ERR_UNAVAILABLE may pass, ERR_SETUP will not. */
int remote_failure(int r, struct err *e);
bool remote_watch(struct instance *i, int64_t wait_ms);

const struct keeping *instance_keeping(const struct instance *i);

/* Takes the lock. */
void instance_set_context(struct instance *i, int64_t context);

/* With the lock held: makes the keeper look at its instance. */
void instance_nudge(struct instance *i);

/* ---- slot_files.c ---- */

/* Makes the folder, removes what is old or too much. */
int slot_files_open(struct manager *m, struct err *e);
/* After admit, before the call: saves the conversation that loses the slot, restores the one that
 * gets it. */
void slot_hand_over(const struct waiter *w, const atomic_bool *cancel);
/* With the lock held, which is let go: before the instance ends, its conversations are saved. */
void slots_save(struct instance *i);

/* ---- admission.c ---- */

/* Somebody who wants a slot. */
struct admission {
    const char *conversation;  /* NULL: a side call */
    int64_t wait_ms;           /* at most; 0: as long as it takes */
    const atomic_bool *cancel; /* may be NULL */
    void (*on_wait)(void *ctx); /* as that of a struct forward_request */
    void *ctx;
};
/* Waits for it.  ERR_BUSY: it has waited, or too many wait already; ERR_CANCELLED; or why the model cannot
 * be loaded. */
int admit(struct manager *m, struct pool *p, const struct admission *a, struct waiter *ret, struct err *e);
/* How long a new caller would wait for a slot if calls went on taking as long as lately. */
int64_t admission_outlook_ms(struct manager *m, const struct pool *p);
void admission_end(struct manager *m, const struct waiter *w, bool trouble);
/* With the lock held: gives free slots to those who wait. */
void admission_serve(struct manager *m, struct pool *p);

#endif
