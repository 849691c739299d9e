/* sandbox_child.c - speaking to a program in the sandbox.
 *
 * One thread is sandbox_run's for as long as the program lives, so that everything which holds for
 * a run (the watcher, limits, the account of memory and disk) holds here without a second way of
 * starting things.
 *
 * `lock` guards what is to be sent; the result is written by the runner alone, before on_end.
 */
#include "os/sandbox_child.h"

#include "base/alloc.h"
#include "base/err.h"
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAX_WAITING = 64 << 20, MAX_KEPT = 4096, PIPE_BYTES = 1 << 20 };

struct sandbox_child {
    struct sandbox *sandbox;
    struct sandbox_run run;
    struct sandbox_limits limits;
    void (*on_end)(void *ctx);
    pthread_t runner, writer;
    int input[2]; /* theirs, ours */
    int wake_fd;
    atomic_bool killed, ended;
    pthread_mutex_t lock;
    struct str waiting;
    size_t sent; /* bytes at the front of `waiting` */
    bool hung_up;
    int code; /* of sandbox_run */
    struct err err;
    struct sandbox_result result;
};

static void wake(struct sandbox_child *c)
{
    uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof one);
    (void)n; /* it only fails when the counter is full, and then the writer wakes anyhow */
}

static void *run_it(void *ctx)
{
    struct sandbox_child *c = ctx;
    c->code = sandbox_run(c->sandbox, &c->run, &c->result, &c->err);
    atomic_store(&c->ended, true);
    wake(c);
    c->on_end(c->run.ctx);
    return NULL;
}

/* ---- writing ---- */

/* As much as the pipe takes; false: there is nothing more to write, ever. */
static bool write_some(struct sandbox_child *c, bool *ret_blocked)
{
    pthread_mutex_lock(&c->lock);
    size_t left = c->waiting.len - c->sent;
    ssize_t n = left ? write(c->input[1], c->waiting.data + c->sent, left) : 0;
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent == c->waiting.len) {
        str_clear(&c->waiting);
        c->sent = 0;
    }
    bool over = !c->waiting.len && c->hung_up; /* looked at last: its wake-up may have been the one that brought these bytes */
    *ret_blocked = left && n < 0 && errno == EAGAIN;
    pthread_mutex_unlock(&c->lock);
    return !over && (n >= 0 || errno == EAGAIN || errno == EINTR);
}

static void *write_it(void *ctx)
{
    struct sandbox_child *c = ctx;
    bool blocked = false;
    while (!atomic_load(&c->ended) && write_some(c, &blocked)) {
        struct pollfd p[2] = { { .fd = c->wake_fd, .events = POLLIN }, { .fd = blocked ? c->input[1] : -1, .events = POLLOUT } };
        pthread_mutex_lock(&c->lock);
        bool more = c->waiting.len > c->sent && !blocked;
        pthread_mutex_unlock(&c->lock);
        poll(p, 2, more ? 0 : -1);
        uint64_t times;
        if (p[0].revents && read(c->wake_fd, &times, sizeof times) < 0 && errno != EAGAIN)
            break;
    }
    child_close(&c->input[1]);
    return NULL;
}

int sandbox_child_send(struct sandbox_child *c, const char *bytes, size_t len, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&c->lock);
    if (c->waiting.len - c->sent + len > MAX_WAITING)
        r = err_set(e, ERR_LIMIT, "it does not read what it is sent: more than %d MiB wait", MAX_WAITING >> 20);
    else if (!c->hung_up)
        str_add_bytes(&c->waiting, bytes, len);
    pthread_mutex_unlock(&c->lock);
    wake(c);
    return r;
}

void sandbox_child_hang_up(struct sandbox_child *c)
{
    pthread_mutex_lock(&c->lock);
    c->hung_up = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

/* ---- beginning and end ---- */

void sandbox_child_kill(struct sandbox_child *c)
{
    atomic_store(&c->killed, true);
    sandbox_child_hang_up(c);
}

int sandbox_child_end(const struct sandbox_child *c, const struct sandbox_result **ret, struct err *e)
{
    if (c->code < 0)
        return err_set(e, c->code, "%s", c->err.text);
    *ret = &c->result;
    return 0;
}

static void release(struct sandbox_child *c)
{
    child_close(&c->input[0]);
    child_close(&c->input[1]);
    child_close(&c->wake_fd);
    if (c->code == 0)
        sandbox_result_release(&c->result);
    str_release(&c->waiting);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void sandbox_child_free(struct sandbox_child *c)
{
    if (!c)
        return;
    sandbox_child_kill(c);
    pthread_join(c->runner, NULL);
    pthread_join(c->writer, NULL);
    release(c);
}

static int open_pipe(struct sandbox_child *c)
{
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) < 0)
        return -1;
    c->input[0] = fcntl(fd[0], F_DUPFD_CLOEXEC, 3);
    c->input[1] = fcntl(fd[1], F_DUPFD_CLOEXEC, 3);
    close(fd[0]);
    close(fd[1]);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->input[0] < 0 || c->input[1] < 0 || c->wake_fd < 0)
        return -1;
    fcntl(c->input[1], F_SETFL, O_NONBLOCK);
    fcntl(c->input[1], F_SETPIPE_SZ, PIPE_BYTES); /* better, not needed */
    return 0;
}

int sandbox_child_start(struct sandbox_child **ret, struct sandbox *s, const struct sandbox_run *run, void (*on_end)(void *ctx),
                        struct err *e)
{
    struct sandbox_child *c = xcalloc(1, sizeof *c);
    *c = (struct sandbox_child){ .sandbox = s, .run = *run, .limits = run->limits ? *run->limits : sandbox_default_limits, .on_end = on_end,
                                 .input = { -1, -1 }, .wake_fd = -1, .waiting = STR_INIT,
                                 .result = { .process = { .out = STR_INIT, .err = STR_INIT } } };
    pthread_mutex_init(&c->lock, NULL);
    int r = open_pipe(c) < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot make the pipes for %s", run->argv[0]) : 0;
    c->limits.max_output = MAX_KEPT;
    c->run.limits = &c->limits;
    c->run.input_fd = c->input[0];
    c->run.endless = true;
    c->run.cancel = &c->killed;
    if (r == 0 && pthread_create(&c->writer, NULL, write_it, c) != 0)
        r = err_set(e, ERR_FAILED, "no thread can be made for %s", run->argv[0]);
    if (r == 0 && pthread_create(&c->runner, NULL, run_it, c) != 0) {
        atomic_store(&c->ended, true);
        wake(c);
        pthread_join(c->writer, NULL);
        r = err_set(e, ERR_FAILED, "no thread can be made for %s", run->argv[0]);
    }
    if (r < 0) {
        release(c);
        return r;
    }
    *ret = c;
    return 0;
}
