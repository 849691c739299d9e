/* manager_fixture.c - a manager whose models run on the fake server in llama-server's place. */
#include "check.h"
#include "manager_fixture.h"

#include "base/str.h"

#include <signal.h>
#include <unistd.h>

static int put(const struct registry *changes, void *ctx, struct err *e)
{
    struct fixture *f = ctx;
    return registry_put(f->store, changes, "Ada", e);
}

void entries(struct fixture *f, const char *models)
{
    check_ok(registry_import_yaml(f->store, "models.yaml", models, strlen(models), put, f, &f->e), &f->e);
}

int manager_set_up(void **state)
{
    static struct fixture f;
    static const struct doc_type *const types[] = { &backend_type, &model_type, &route_type };
    f = (struct fixture){ 0 };
    fake_make(&f.fake);
    scratch_write(&f.fake.room, "models/" DIGEST ".gguf", "GGUF");
    check_ok(store_open(&f.store, scratch_path(&f.fake.room, "home"), types, 3, &f.e), &f.e);
    struct backend_entry backend = { .id = "llama-server", .kind = BACKEND_LLAMA_SERVER, .url = "", .program = fake_program,
                                     .key_file = "", .ca_file = "" };
    for (const char *const *env = fake_environment(&f.fake); *env; env++)
        texts_add(&backend.environment, &f.arena, *env);
    struct registry change = { .backends = { &backend, 1 } };
    check_ok(registry_put(f.store, &change, "Ada", &f.e), &f.e);
    f.options = (struct manager_options){
        .store = f.store, .models_dir = scratch_path(&f.fake.room, "models"), .run_dir = scratch_path(&f.fake.room, "run"),
        .slots_dir = scratch_path(&f.fake.room, "slots"),
        .llama_server = "llama-server", .limits = manager_default_limits, .chat = model_default_options,
    };
    f.options.limits.room.ram_mib = 1000;
    f.options.limits.pause_ms = 10;
    f.options.limits.max_pause_ms = 50;
    *state = &f;
    return 0;
}

void open_manager(struct fixture *f)
{
    check_ok(manager_open(&f->manager, &f->options, &f->e), &f->e);
}

int manager_tear_down(void **state)
{
    struct fixture *f = *state;
    manager_free(f->manager);
    store_free(f->store);
    arena_release(&f->arena);
    fake_remove(&f->fake);
    return 0;
}

const char *ask_in(struct fixture *f, const char *name, const char *conversation, const atomic_bool *cancel)
{
    struct model *m = manager_model(f->manager, name, 0);
    struct chat_message message = { CHAT_USER, "hello" };
    struct chat_request q = { .messages = &message, .message_count = 1, .seed = 1, .conversation = conversation, .cancel = cancel,
                              .key = { "", "person", "ask", 1 } };
    struct chat_answer answer;
    struct err e;
    int r = model_chat(m, &q, &answer, &e);
    const char *text = r < 0 ? NULL : arena_strdup(&f->arena, answer.text.data);
    if (r == 0)
        chat_answer_release(&answer);
    else
        f->e = e;
    model_free(m);
    return text;
}

const char *ask(struct fixture *f, const char *name)
{
    return ask_in(f, name, NULL, NULL);
}

struct manager_instance look(struct fixture *f, const char *model)
{
    struct manager_picture p;
    manager_look(f->manager, &f->arena, &p);
    for (size_t i = 0; i < p.count; i++)
        if (streq(p.instances[i].model, model) && !p.instances[i].retired)
            return p.instances[i];
    fail_msg("there is no instance of %s", model);
    return (struct manager_instance){ 0 };
}

void wait_for(struct fixture *f, const char *model, enum life life)
{
    for (int i = 0; i < 1000 && look(f, model).life != life; i++)
        usleep(10000);
    if (look(f, model).life != life)
        fail_msg("%s is %s, not %s: %s", model, life_names[look(f, model).life], life_names[life], look(f, model).why);
}

void unload(struct fixture *f, const char *model)
{
    check_ok(manager_unload(f->manager, model, &f->e), &f->e);
    wait_for(f, model, LIFE_STOPPED);
}

void wait_for_end(pid_t pid)
{
    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill(pid, 0), -1);
}

/* ---- beside ---- */

static void *ask_beside(void *ctx)
{
    struct asking *a = ctx;
    struct chat_message message = { CHAT_USER, "hello" };
    struct chat_request q = { .messages = &message, .message_count = 1, .key = { "", "person", "ask", 1 } };
    struct chat_answer answer;
    a->code = model_chat(a->model, &q, &answer, NULL);
    if (a->code == 0)
        chat_answer_release(&answer);
    return NULL;
}

void asking_begin(struct fixture *f, struct asking *a, const char *name)
{
    *a = (struct asking){ .model = manager_model(f->manager, name, 0) };
    assert_int_equal(pthread_create(&a->thread, NULL, ask_beside, a), 0);
}

int asking_end(struct asking *a)
{
    pthread_join(a->thread, NULL);
    model_free(a->model);
    return a->code;
}
