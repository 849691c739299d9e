/* stack_room.h - running a stack's commands on a tree; for src/repo/stack*.c alone. */
#ifndef TANDEM_STACK_ROOM_H
#define TANDEM_STACK_ROOM_H

#include "repo/stack_file.h"

struct running {
    const struct stack *stack;
    struct sandbox *sandbox;
    struct sandbox_room room;
    const struct suite_options *options;
    struct arena *arena;
    const char *runners; /* where the code sees them */
    char runner_path[300];
    const char *prepared; /* the dependencies, outside of the sandbox; NULL or "": none */
    bool network;
    struct test_result built; /* id NULL: not asked for */
    struct err *err;
};

/* Makes the room and fills it; `tree` NULL: it stays empty.  sandbox_room_remove ends it. */
int running_enter(struct running *run, struct repo *r, const struct oid *tree);
/* A filled-in, NULL-terminated copy; the items of `list` stand where `list_name` stood. */
const char *const *running_fill(const struct running *run, const struct texts *words, const char *list_name,
                                const struct texts *list);
/* What the room's code sees of run->prepared. */
const char *running_prepared(const struct running *run);
const char *const *running_env(const struct running *run, bool with_coverage);
/* ERR_UNAVAILABLE names the package of a program that is missing; ERR_CANCELLED. */
int running_execute(struct running *run, const char *const *argv, const char *const *env, struct sandbox_result *ret);
/* Standard output, then standard error (which came first differs from run to run), stripped;
 * of a long one the head and the tail. */
const char *running_output(const struct running *run, const struct sandbox_result *done, size_t max_head, size_t max_tail);

#endif
