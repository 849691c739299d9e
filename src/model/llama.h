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
    int64_t cache_mib;        /* of RAM for prompts that lost their slot; 0: none */
    const char *gpu_layers;   /* "": nothing is said */
    bool embeds;
    struct texts arguments;   /* more */
};

/* NULL-terminated; in the arena.  `help` is what the program prints for --help ("": unknown):
 * flags that make things better but are not in it are left out, because older versions end at a
 * flag they do not know. */
const char *const *llama_command(struct arena *a, const struct llama_plan *p, const char *help);

enum llama_end {
    LLAMA_CRASHED,  /* worth another try */
    LLAMA_MEMORY,   /* it could not get the memory it wanted */
    LLAMA_FILE,     /* the model's file is not what it can load */
    LLAMA_ARGUMENT, /* it does not know a flag, or its value */
    LLAMA_SOCKET,   /* it could not listen */
};

/* Reads it from how it ended and what it said last, and puts it into words: the cause, what it
 * said, and what to do. */
enum llama_end llama_why(const struct process_result *end, const char *said, const char *alias, struct err *e);

#endif
