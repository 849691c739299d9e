/* keeping_llama.c - an instance that is a llama-server of ours: a child on a Unix socket.
 *
 * It listens before its model is loaded and answers 503 until then.  When it ends at loading
 * because memory is short, less is asked of it the next time: half the context, as long as the
 * roles that use it can live with that, then half the layers on the GPU.
 */
#include "model/manager_internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "http/client.h"
#include "model/gguf.h"
#include "model/llama.h"
#include "model/orphans.h"
#include "model/shelf.h"
#include "os/process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LEAST_CONTEXT = 2048, /* below this no role can work */
    DEFAULT_CONTEXT = 16384, /* where neither entry nor file says less */
    EMBED_CONTEXT = 2048,    /* the same for a model of vectors, whose batch is as large */
    DEVICE_BATCH = 512,
    PROCESSOR_BATCH = 128,   /* there larger ones are no faster, and nothing stops within one */
    HELP_MS = 20000, HELP_MAX = 1 << 20,
    ASK_MS = 2000, DOUBT_MS = 10000, STARTING_LOOK_MS = 20, MIB = 1 << 20,
};

static const char *path_in(struct arena *a, const struct instance *i, const char *ending)
{
    return arena_printf(a, "%s/%s.%s", i->manager->options.run_dir, i->name, ending);
}

/* ---- what it needs ---- */

static bool embeds(const struct model_entry *m)
{
    return texts_has(&m->capabilities, "embed") && !texts_has(&m->capabilities, "chat");
}

static int64_t llama_context(const struct instance *i)
{
    /* Beyond the trained context memory is taken and never used. */
    if (i->entry.context && (!i->entry.trained_context || i->entry.context < i->entry.trained_context))
        return i->entry.context;
    int64_t usual = embeds(&i->entry) ? EMBED_CONTEXT : DEFAULT_CONTEXT;
    return i->entry.trained_context && i->entry.trained_context < usual ? i->entry.trained_context : usual;
}

/* The least that the roles which may ask this model can work with. */
static int64_t least_context(const struct instance *i)
{
    struct manager *m = i->manager;
    int64_t least = LEAST_CONTEXT;
    manager_lock(m);
    const struct route_entry *routes = m->registry.routes.items;
    for (size_t k = 0; k < m->registry.routes.count; k++)
        if ((streq(routes[k].primary, i->entry.id) || streq(routes[k].fallback, i->entry.id)) && routes[k].min_context > least)
            least = routes[k].min_context;
    manager_unlock(m);
    return least;
}

static int open_file(const struct instance *i, int *ret_fd, struct err *e)
{
    ARENA_LOCAL(a);
    const char *dir = i->manager->options.models_dir;
    *ret_fd = open(shelf_path(&a, dir, i->entry.file), O_RDONLY | O_CLOEXEC);
    return *ret_fd >= 0 ? 0 : err_set(e, ERR_SETUP, "the file of the model %s is not in %s: import it again", i->entry.id, dir);
}

/* From the file itself: weights, what the slots keep of their conversations, and the rest. */
static int estimate(const struct instance *i, int64_t *ret_mib, struct err *e)
{
    ARENA_LOCAL(a);
    struct gguf_info info;
    struct gguf_memory memory;
    struct gguf_use use = { .context = i->context, .slots = i->entry.slots, .batch = embeds(&i->entry) ? i->context : 0 };
    int fd, r = open_file(i, &fd, e);
    if (r < 0)
        return r;
    r = gguf_read(&a, fd, &info, e);
    close(fd);
    if (r == 0)
        r = gguf_memory_estimate(&info, &use, &memory, e);
    if (r < 0) {
        struct err said = *e;
        return err_set(e, ERR_SETUP, "the file of the model %s %.600s", i->entry.id, said.text);
    }
    *ret_mib = memory.total / MIB + 1 + memory.checkpoint / MIB * i->entry.slots * LLAMA_CHECKPOINTS;
    return 0;
}

static int llama_measure(struct instance *i, int64_t *ret_ram_mib, int64_t *ret_vram_mib, struct err *e)
{
    if (!*i->entry.file)
        return err_set(e, ERR_SETUP, "the model %s has no file: `tandem model import FILE.gguf`", i->entry.id);
    if (i->context < least_context(i)) /* a role has come to need more than what was enough */
        instance_set_context(i, llama_context(i));
    *ret_vram_mib = i->entry.vram_mib;
    int r = 0;
    if (i->entry.memory_mib)
        *ret_ram_mib = i->entry.memory_mib;
    else
        r = estimate(i, ret_ram_mib, e);
    *ret_ram_mib += i->entry.cache_mib;
    return r;
}

/* ---- starting ---- */

static const char *program_of(const struct instance *i)
{
    return *i->backend.program ? i->backend.program : i->manager->options.llama_server;
}

static const char *const *environment_of(struct arena *a, const struct instance *i)
{
    const struct texts *more = &i->backend.environment;
    const char **env = ARENA_ARRAY(a, const char *, more->count + 4);
    size_t count = 0;
    env[count++] = "PATH=" PROCESS_PATH;
    env[count++] = "LANG=C.UTF-8";
    env[count++] = "GGML_NO_BACKTRACE=1"; /* else an abort may leave it stopped in a debugger */
    for (size_t k = 0; k < more->count; k++)
        env[count++] = more->items[k];
    env[count] = NULL;
    return env;
}

/* What the program prints when it is asked for one thing; to be freed. */
static int run_program(const struct instance *i, struct arena *a, const char *flag, char **ret, struct err *e)
{
    const char *argv[] = { program_of(i), flag, NULL };
    struct process_options o = { .argv = argv, .env = environment_of(a, i), .timeout_ms = HELP_MS, .max_output = HELP_MAX,
                                 .merge_stderr = true };
    struct process_result result;
    int r = process_run(&o, &result, e);
    if (r < 0)
        return r;
    *ret = xstrdup(result.out.data);
    process_result_release(&result);
    return 0;
}

/* With the help_lock held. */
static int learn(struct instance *i, struct arena *a, struct err *e)
{
    struct manager *m = i->manager;
    char *help, *devices;
    int r = run_program(i, a, "--help", &help, e);
    if (r < 0)
        return r;
    m->llama_devices = false;
    if (llama_knows(help, "--list-devices") && run_program(i, a, "--list-devices", &devices, NULL) == 0) {
        m->llama_devices = llama_has_devices(devices);
        free(devices);
    }
    free(m->llama_help);
    free(m->llama_help_of);
    m->llama_help = help;
    m->llama_help_of = xstrdup(program_of(i));
    return 0;
}

/* What the program says of itself, asked once for each. */
static int read_help(struct instance *i, struct arena *a, const char **ret, bool *ret_devices, struct err *e)
{
    struct manager *m = i->manager;
    pthread_mutex_lock(&m->help_lock);
    int r = m->llama_help_of && streq(m->llama_help_of, program_of(i)) ? 0 : learn(i, a, e);
    if (r == 0) {
        *ret = arena_strdup(a, m->llama_help);
        *ret_devices = m->llama_devices;
    }
    pthread_mutex_unlock(&m->help_lock);
    if (r == ERR_NOT_FOUND) {
        struct err said = *e;
        return err_set(e, ERR_SETUP, "llama-server cannot be started: %.300s. Install llama.cpp and name its program: "
                       "`--set llama_server=/path/to/llama-server`", said.text);
    }
    return r;
}

/* Nothing stops within a batch, not even when its caller has left; a text to embed has to fit into one. */
static int64_t batch_of(const struct instance *i, bool devices)
{
    if (embeds(&i->entry))
        return i->context;
    return devices && !streq(i->entry.gpu_layers, "0") ? DEVICE_BATCH : PROCESSOR_BATCH;
}

/* As many GPU layers as are left of those configured. */
static const char *gpu_layers_of(struct arena *a, const struct instance *i)
{
    long long layers;
    if (!i->gpu_cut || !parse_int(i->entry.gpu_layers, 0, INT32_MAX, &layers))
        return i->entry.gpu_layers;
    return arena_printf(a, "%lld", layers >> i->gpu_cut);
}

static int llama_spawn(struct instance *i, struct err *e)
{
    ARENA_LOCAL(a);
    struct manager *m = i->manager;
    const char *help = "";
    bool devices = false;
    const char *file = shelf_path(&a, m->options.models_dir, i->entry.file);
    const char *socket = path_in(&a, i, "sock");
    int fd, r = open_file(i, &fd, e);
    if (r < 0)
        return r;
    close(fd);
    r = read_help(i, &a, &help, &devices, e);
    if (r < 0)
        return r;
    struct llama_plan plan = {
        .program = program_of(i), .file = file, .alias = i->entry.id, .socket = socket, .slot_dir = m->options.limits.slot_files_mib ? m->options.slots_dir : NULL,
        .context = i->context, .slots = i->entry.slots, .batch = batch_of(i, devices), .cache_mib = i->entry.cache_mib, .gpu_layers = gpu_layers_of(&a, i),
        .embeds = embeds(&i->entry), .arguments = i->entry.arguments,
    };
    struct process_options o = { .argv = llama_command(&a, &plan, help), .env = environment_of(&a, i) };
    orphan_forget(m->options.run_dir, i->name); /* a socket in the way would be a reason not to start */
    struct service *service;
    r = service_start(&service, &o, e);
    if (r < 0)
        return r;
    orphan_note(m->options.run_dir, i->name, service_pid(service));
    manager_lock(m);
    i->service = service;
    manager_unlock(m);
    return 0;
}

/* ---- asking ---- */

/* One request on its socket; *ret_status 0: nobody listens. */
static int request(struct instance *i, const char *path, const char *body, int64_t total_ms, const atomic_bool *cancel, int *ret_status,
                   struct str *ret_body, struct err *e)
{
    ARENA_LOCAL(a);
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    struct http_request q = {
        .method = body ? "POST" : "GET", .url = arena_printf(&a, "http://localhost%s", path), .unix_socket = path_in(&a, i, "sock"), .called = i->entry.id,
        .headers = body ? headers : NULL, .body = body, .body_len = body ? strlen(body) : 0, .connect_ms = ASK_MS,
        .total_ms = total_ms, .cancel = cancel,
    };
    struct http_result h;
    int r = http_ask(&q, &h, ret_body, e);
    *ret_status = r == 0 ? h.status : 0;
    return r;
}

static bool llama_watch(struct instance *i, int64_t wait_ms)
{
    return service_wait(i->service, wait_ms);
}

static int llama_load(struct instance *i, int64_t wait_ms, bool *ret_ready, struct err *e)
{
    STR_LOCAL(body);
    int status;
    int r = request(i, "/health", NULL, ASK_MS, NULL, &status, &body, e);
    if (r == 0 && status == 200) {
        *ret_ready = true;
        return 0;
    }
    /* Not there yet (it has just been started), or loading. */
    if (service_wait(i->service, status == 0 ? STARTING_LOOK_MS : wait_ms))
        return 0;
    return err_set(e, ERR_UNAVAILABLE, "%s ended while it was loaded", i->entry.id);
}

static int llama_ask(struct instance *i, struct err *e)
{
    STR_LOCAL(body);
    int status;
    if (!service_wait(i->service, 0))
        return err_set(e, ERR_UNAVAILABLE, "%s ended unexpectedly", i->entry.id);
    int r = request(i, "/health", NULL, DOUBT_MS, NULL, &status, &body, e);
    if (r == 0 && status == 200)
        return 0;
    return err_set(e, ERR_UNAVAILABLE, "%s does not answer any more", i->entry.id);
}

static int llama_slot(struct instance *i, size_t slot, const char *action, const char *file, int64_t total_ms, const atomic_bool *cancel,
                      int64_t *ret_bytes)
{
    ARENA_LOCAL(a);
    STR_LOCAL(said);
    struct err e;
    int status;
    json_t *answer = NULL;
    int r = request(i, arena_printf(&a, "/slots/%zu?action=%s", slot, action), arena_printf(&a, "{\"filename\":\"%s\"}", file), total_ms,
                    cancel, &status, &said, &e);
    if (r < 0)
        return r;
    if (status != 200 || json_parse(&a, said.data, said.len, &answer, &e) < 0)
        return ERR_FAILED;
    *ret_bytes = json_int_of(answer, "n_written", 0);
    return 0;
}

/* ---- probing ---- */

static int ask_one_token(struct instance *i, struct err *e)
{
    STR_LOCAL(answer);
    int status;
    bool embedding = embeds(&i->entry);
    int r = request(i, embedding ? "/v1/embeddings" : "/v1/completions",
                    embedding ? "{\"input\":\"one\"}" : "{\"prompt\":\"one\",\"max_tokens\":1,\"cache_prompt\":false,\"id_slot\":0}",
                    i->manager->options.limits.probe_ms, NULL, &status, &answer, e);
    if (r == 0 && status != 200)
        r = err_set(e, ERR_UNAVAILABLE, "%s is loaded but does not answer (status %d: %.200s)", i->entry.id, status, answer.data);
    return r;
}

static int llama_probe(struct instance *i, struct model **ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct model_options o = i->manager->options.chat;
    struct model *model;
    const char *name;
    int64_t context;
    o.url = arena_printf(&a, "unix:%s", path_in(&a, i, "sock"));
    o.name = o.called = i->entry.id;
    o.api_key_file = o.api_key_env = NULL;
    int r = model_open(&model, &o, e);
    if (r < 0)
        return r;
    r = model_describe(model, NULL, &name, &context, e);
    if (r == 0 && !streq(name, i->entry.id))
        r = err_set(e, ERR_SETUP, "the server of %s calls its model %.100s: another program listens on its socket", i->entry.id, name);
    if (r == 0 && context < i->context)
        r = err_set(e, ERR_SETUP, "%s has a context of %lld tokens, not of %lld: `tandem model set %s context=%lld`, or another model",
                    i->entry.id, (long long)context, (long long)i->context, i->entry.id, (long long)context);
    if (r == 0)
        r = ask_one_token(i, e);
    if (r < 0) {
        model_free(model);
        return r == ERR_NOT_FOUND ? err_set(e, ERR_SETUP, "the server of %s does not know it by this name", i->entry.id) : r;
    }
    *ret = model;
    return 0;
}

/* ---- ending ---- */

static bool llama_less(struct instance *i, bool layers_too)
{
    long long layers;
    if (i->context / 2 >= least_context(i)) {
        instance_set_context(i, i->context / 2);
        return true;
    }
    if (layers_too && parse_int(i->entry.gpu_layers, 1, INT32_MAX, &layers) && layers >> i->gpu_cut > 0) {
        i->gpu_cut++;
        instance_set_context(i, llama_context(i));
        return true;
    }
    return false;
}

static bool llama_stop(struct instance *i, struct err *why)
{
    struct manager *m = i->manager;
    bool is_short = false, ready = i->life == LIFE_READY || i->life == LIFE_SUSPECT;
    struct process_result end;
    manager_lock(m);
    struct service *service = i->service;
    i->service = NULL; /* nobody nudges it any more */
    manager_unlock(m);
    if (!service)
        return false;
    bool ended = !service_wait(service, 0);
    char *said = xstrdup(service_said(service));
    service_end(service, why && !ended ? 0 : m->options.limits.stop_ms, &end);
    orphan_forget(m->options.run_dir, i->name);
    if (why && ended) {
        enum llama_end cause = llama_why(&end, said, i->entry.id, ready, why);
        is_short = !ready && (cause == LLAMA_MEMORY || (cause == LLAMA_KILLED && i->crashes > 0));
    }
    free(said);
    return is_short;
}

const struct keeping keeping_llama = {
    .context = llama_context, .measure = llama_measure, .spawn = llama_spawn, .load = llama_load, .probe = llama_probe, .ask = llama_ask,
    .less = llama_less, .is_ours = true, .slot = llama_slot, .watch = llama_watch, .stop = llama_stop,
};
