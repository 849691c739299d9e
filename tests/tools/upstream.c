/* upstream.c - a fake model server, for tests and benchmarks: a process that answers as a script
 * says, with every fault that a real one could have.
 *
 *     fake-upstream --as llama-server|vllm|ollama [--script FILE] [--log FILE] [flags of llama-server]
 *
 * What a model says cannot be had twice alike, and what a dying server does not on demand; so both
 * come from a script (upstream_script.c lists its members, in YAML or JSON).  Everything up to the
 * socket is the product's own code.  Posing as llama-server it takes that program's flags, so that
 * it can be started in its place; the script's path is then in UPSTREAM_SCRIPT, or in --script among
 * the model's further arguments.  (tests/unit/upstream.c is the smaller fake within a test's own
 * process.)
 *
 * It listens on the path of --host when that ends in .sock, else on 127.0.0.1 at --port (0: any
 * that is free) and prints "listening on http://127.0.0.1:PORT".  A script is read again for each
 * request; replace it by renaming another over it.
 */
#include "fake.h"
#include "fake_flags.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DEFAULT_CONTEXT = 4096, DEFAULT_PARALLEL = 4, ALL_LAYERS = 999, TERM_US = 30000000 };

static struct fake fake;

/* ---- ends ---- */

static void take_memory(int64_t mib)
{
    if (mib <= 0)
        return;
    size_t size = (size_t)mib << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; p != MAP_FAILED && i < size; i += 4096)
        p[i] = 1;
}

static void crash(void)
{
    log_line("crash", NULL);
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

void fake_then(struct exchange *x)
{
    if (x->then == THEN_CRASH)
        crash();
    if (x->then == THEN_EXIT) {
        log_line("exit", NULL);
        _exit((int)x->rule->exit);
    }
    if (x->then == THEN_GROW)
        take_memory(x->rule->grow_mib);
}

static void on_term(int signal_number)
{
    (void)signal_number;
    fake.ending = 1;
    fake.end_us = clock_steady_us() + TERM_US;
}

/* ---- loading ---- */

/* As llama-server writes them; Tandem reads them when its child has ended. */
static void say_out_of_memory(long long bytes)
{
    fprintf(stderr,
            "0.00.679.900 E ggml_aligned_malloc: insufficient memory (attempted to allocate %lld MB)\n"
            "0.00.680.075 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size %lld\n"
            "0.00.703.861 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n"
            "0.00.706.468 E cmn  common_init_: failed to create context with model '%s'\n"
            "0.00.715.957 E srv  llama_server: exiting due to model loading error\n",
            bytes >> 20, bytes, fake.file);
}

static void end_of_loading(int status)
{
    log_line("failed", json_pack("{s:s, s:i}", "model", fake.model, "status", status));
    exit(status);
}

void fake_loaded(struct fake *f)
{
    const struct life *l = f->life;
    const char *layers = flag_text("--n-gpu-layers", "0");
    int64_t gpu_layers = *layers >= '0' && *layers <= '9' ? flag_number("--n-gpu-layers", 0) : ALL_LAYERS;
    fputs(l->says, stderr);
    if (l->most_context && f->context * f->slot_count > l->most_context) {
        say_out_of_memory((long long)(f->context * f->slot_count) << 20);
        end_of_loading(1);
    }
    if (l->most_gpu_layers && gpu_layers > l->most_gpu_layers) {
        say_out_of_memory((long long)gpu_layers << 28);
        end_of_loading(1);
    }
    take_memory(l->memory_mib);
    if (l->crash)
        crash();
    if (l->exit)
        end_of_loading((int)l->exit);
    if (l->context)
        f->context = l->context;
    if (*l->calls_itself)
        f->model = l->calls_itself;
    f->ready = true;
    log_line("ready", json_pack("{s:s, s:I}", "model", f->model, "context", (json_int_t)f->context));
}

/* ---- starting ---- */

static const struct pose *find_pose(void)
{
    static const struct pose *const poses[] = { &pose_llama, &pose_vllm, &pose_ollama };
    const char *name = flag_text("--as", "llama-server");
    for (size_t i = 0; i < sizeof poses / sizeof *poses; i++)
        if (streq(poses[i]->name, name))
            return poses[i];
    fprintf(stderr, "fake upstream: --as %s is none of llama-server, vllm, ollama\n", name);
    exit(2);
}

static const char *setting(const char *flag, const char *variable)
{
    return flag_text(flag, getenv(variable));
}

static void read_flags(struct fake *f)
{
    const struct script *s = script_now(f->script);
    const char *host = flag_text("--host", "127.0.0.1");
    const char *file = flag_text("--model", "fake.gguf"), *slash = strrchr(file, '/');
    f->pose = find_pose();
    f->path = ends_with(host, ".sock") ? host : NULL;
    f->file = file;
    f->model = flag_text("--alias", s->models.count ? s->models.items[0] : slash ? slash + 1 : file);
    f->slot_dir = flag_text("--slot-save-path", NULL);
    f->api_key = flag_text("--api-key", NULL);
    f->embeds = flag_is_given("--embeddings");
    bool llama = f->pose == &pose_llama;
    int64_t slots = llama ? flag_number("--parallel", DEFAULT_PARALLEL) : s->parallel ? s->parallel : f->pose == &pose_ollama ? 1 : 16;
    f->slot_count = slots < 1 ? DEFAULT_PARALLEL : slots > MAX_SLOTS ? MAX_SLOTS : slots;
    int64_t context = flag_number("--ctx-size", 0);
    f->context = llama ? (context > 0 ? context : DEFAULT_CONTEXT * f->slot_count) / f->slot_count
                       : s->context ? s->context : DEFAULT_CONTEXT;
    for (int64_t i = 0; i < f->slot_count; i++)
        str_init(&f->slots[i].holds);
}

static void arm_signals(const struct fake *f)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigaddset(&term, SIGINT);
    sigprocmask(SIG_BLOCK, &term, NULL); /* the loop lets them in where it waits */
    struct sigaction action = { .sa_handler = f->life->ignore_term ? SIG_IGN : on_term };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }); /* a scripted crash leaves nothing behind */
}

static void begin_life(struct fake *f, const char *log)
{
    log_line("start", json_pack("{s:s}", "model", f->model));
    f->life = script_life(f->script, f->model, log ? log_count(log, "start", f->model) : 1);
    arm_signals(f);
    usleep((useconds_t)f->life->listen_ms * 1000);
    if (!http_listen(f, flag_number("--port", f->pose == &pose_llama ? 8080 : 0))) {
        fprintf(stderr, "0.00.004.748 E srv         start: couldn't bind HTTP server socket, hostname: %s, port: %lld\n"
                        "0.00.004.820 E srv  llama_server: exiting due to HTTP server error\n",
                flag_text("--host", "127.0.0.1"), (long long)flag_number("--port", 8080));
        exit(1);
    }
    log_line("listening", json_pack("{s:s, s:i}", "model", f->model, "port", f->port));
    fprintf(stderr, "0.00.007.214 I srv    load_model: loading model '%s'\n", f->file);
    f->ready_us = clock_steady_us() + f->life->load_ms * 1000;
}

int main(int argc, char **argv)
{
    flags_read(argc, argv);
    const char *log = setting("--log", "UPSTREAM_LOG");
    log_open(log);
    fake.script = script_open(setting("--script", "UPSTREAM_SCRIPT"));
    read_flags(&fake);
    begin_life(&fake, log);
    http_run(&fake);
    fprintf(stderr, "0.02.724.148 I srv    operator(): operator(): cleaning up before exit...\n");
    usleep((useconds_t)fake.life->term_ms * 1000);
    log_line("stop", NULL);
    for (int64_t i = 0; i < fake.slot_count; i++)
        str_release(&fake.slots[i].holds);
    script_close(fake.script);
    return 0;
}
