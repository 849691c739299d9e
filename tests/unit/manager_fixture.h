/* manager_fixture.h - a manager whose models run on the fake server in llama-server's place.
 *
 * Include check.h first.
 */
#ifndef TANDEM_TESTS_MANAGER_FIXTURE_H
#define TANDEM_TESTS_MANAGER_FIXTURE_H

#include "fake_process.h"

#include "base/arena.h"
#include "model/manager.h"
#include "model/registry.h"

#include <pthread.h>

#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
/* An entry; of the room's 1000 MiB two fit. */
#define MODEL(id, more) "- {id: " id ", file: " DIGEST ", memory_mib: 400, context: 4096" more "}\n"

struct fixture {
    struct fake_process fake;
    struct store *store;
    struct manager *manager; /* NULL until open_manager */
    struct manager_options options;
    struct arena arena;
    struct err e;
};

int manager_set_up(void **state);
int manager_tear_down(void **state);
#define MANAGER_TEST(name) cmocka_unit_test_setup_teardown(name, manager_set_up, manager_tear_down)

/* "models:\n- {id: m, ...}\n" */
void entries(struct fixture *f, const char *models);
void open_manager(struct fixture *f);

/* One question; the answer's text in the arena, NULL when it failed (f->e). */
const char *ask_in(struct fixture *f, const char *name, const char *conversation, const atomic_bool *cancel);
const char *ask(struct fixture *f, const char *name);

/* A question on another thread; asking_end waits for its code. */
struct asking {
    struct model *model;
    pthread_t thread;
    int code;
};
void asking_begin(struct fixture *f, struct asking *a, const char *name);
int asking_end(struct asking *a);

/* The instance of a model that is not retired. */
struct manager_instance look(struct fixture *f, const char *model);
void wait_for(struct fixture *f, const char *model, enum life life);
/* And waits until it has left. */
void unload(struct fixture *f, const char *model);
/* Until a process is gone. */
void wait_for_end(pid_t pid);

#endif
