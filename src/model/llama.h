/* model/llama.h - llama-server as a program: its command line, and why it ended.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_LLAMA_H
#define TANDEM_MODEL_LLAMA_H

#include "base/record.h"

struct arena;
struct err;
struct process_result;

struct llama_plan {
    const char *program, *file, *alias;
    const char *socket;       /* where it listens; ends in ".sock", which is how it knows */
    const char *slot_dir;     /* where it may keep slots; NULL: nowhere */
    int64_t context;          /* tokens of one slot */
    int64_t slots;
    int64_t batch;            /* tokens of a prompt between two looks at whether it is still wanted; 0: nothing is said */
    int64_t cache_mib;        /* of RAM for prompts that lost their slot; 0: none */
    const char *gpu_layers;   /* "": nothing is said */
    bool embeds;              /* a text has to fit into one batch then */
    struct texts arguments;   /* more */
};

/* Of each slot: states to go back to, for models with windows or recurrent layers. */
enum { LLAMA_CHECKPOINTS = 3 };

/* NULL-terminated; in the arena.  `help` is what the program prints for --help ("": unknown):
 * flags that make things better but are not in it are left out, because older versions end at a
 * flag they do not know. */
const char *const *llama_command(struct arena *a, const struct llama_plan *p, const char *help);
/* Whether the help names this flag. */
bool llama_knows(const char *help, const char *flag);
/* Whether it would compute on something else than the processor; reads what it prints for --list-devices. */
bool llama_has_devices(const char *said);

enum llama_end {
    LLAMA_CRASHED,  /* worth another try */
    LLAMA_MEMORY,   /* it could not get the memory it wanted */
    LLAMA_KILLED,   /* by somebody, or by the kernel for want of memory: nothing tells which */
    LLAMA_FILE,     /* the model's file is not what it can load */
    LLAMA_ARGUMENT, /* it does not know a flag, or its value */
    LLAMA_SOCKET,   /* it could not listen */
};

/* Reads it from how it ended and what it said last, and puts it into words: the cause, what it
 * said, and what to do.  ERR_UNAVAILABLE where it may pass by itself, and always when it had been
 * `ready`; else ERR_SETUP. */
enum llama_end llama_why(const struct process_result *end, const char *said, const char *alias, bool ready, struct err *e);

#endif
