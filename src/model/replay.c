/* replay.c - a recording in the place of a model.
 *
 * An answer is found by its key alone (ticket, role, step, occurrence), never by its
 * prompt: when a prompt changes, the answer still comes, and the change is reported as
 * drift, which is what the recording is there to find.
 *
 * Threads: `lock` guards the files read so far and the drift; what was read is not changed
 * any more and lives as long as the model.
 */
#include "model/recording.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/diff.h"
#include "base/err.h"
#include "base/utf8.h"
#include "model/backend.h"
#include "os/files.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_DEPTH = 1000, PIECE = 64, DEFAULT_CONTEXT = 8192, MAX_MODELS_FILE = 1 << 20 };

/* One file, with the messages it refers to. */
struct call {
    const char *path;
    struct recorded recorded;
    struct chat_message *messages;
    size_t message_count;
    struct call *next;
};

struct replay {
    struct model base;
    struct arena arena;
    const char *dir, *name;
    int dir_fd;
    int64_t context_tokens;
    enum drift_rule rule;
    pthread_mutex_t lock;
    struct call *calls;
    int64_t drifted;
    struct str first_diff;
};

/* ---- files ---- */

static int load(struct replay *m, const char *path, int depth, struct call **ret, struct err *e);

/* Puts the messages referred to before those of the file. */
static int resolve(struct replay *m, struct call *c, int depth, struct err *e)
{
    const struct recorded *r = &c->recorded;
    const struct chat_message *first = NULL;
    if (r->as_in) {
        struct call *other;
        const char *slash = strrchr(c->path, '/');
        const char *path = arena_printf(&m->arena, "%.*s/%s.txt", (int)(slash - c->path), c->path, r->as_in);
        int code = load(m, path, depth + 1, &other, e);
        if (code < 0)
            return code;
        if (other->message_count < r->as_in_count)
            return err_set(e, ERR_CORRUPT, "%s/%s refers to %zu messages of %s, which has %zu", m->dir,
                           c->path, r->as_in_count, r->as_in, other->message_count);
        first = other->messages;
    }
    c->message_count = r->as_in_count + r->message_count;
    c->messages = ARENA_ARRAY(&m->arena, struct chat_message, c->message_count + 1);
    if (first)
        memcpy(c->messages, first, r->as_in_count * sizeof *first);
    if (r->message_count)
        memcpy(c->messages + r->as_in_count, r->messages, r->message_count * sizeof *r->messages);
    return 0;
}

static int load(struct replay *m, const char *path, int depth, struct call **ret, struct err *e)
{
    for (struct call *c = m->calls; c; c = c->next) {
        if (streq(c->path, path)) {
            *ret = c;
            return 0;
        }
    }
    if (depth > MAX_DEPTH)
        return err_set(e, ERR_CORRUPT, "%s/%s: the references between calls never end", m->dir, path);
    STR_LOCAL(text);
    int r = file_read(m->dir_fd, path, RECORDING_MAX_FILE, &text, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, r, "no answer was recorded for this call: %s/%s is missing; record the "
                       "conversation again with --record", m->dir, path);
    if (r < 0)
        return r;
    struct call *c = ARENA_NEW(&m->arena, struct call);
    c->path = arena_strdup(&m->arena, path);
    r = recording_read(&m->arena, text.data, text.len, &c->recorded, e);
    if (r < 0) {
        err_prefix(e, "%s/%s", m->dir, path);
        return r;
    }
    r = resolve(m, c, depth, e);
    if (r < 0)
        return r;
    c->next = m->calls;
    m->calls = c;
    *ret = c;
    return 0;
}

/* ---- drift ---- */

/* Index of the first message that differs, or -1. */
static long first_difference(const struct call *c, const struct chat_request *q)
{
    size_t i = 0;
    while (i < c->message_count && i < q->message_count &&
           c->messages[i].role == q->messages[i].role && streq(c->messages[i].text, q->messages[i].text))
        i++;
    return i == c->message_count && i == q->message_count ? -1 : (long)i;
}

static void add_diff(struct str *out, const struct call *c, const struct chat_request *q, size_t i)
{
    STR_LOCAL(old_label);
    STR_LOCAL(new_label);
    bool had = i < c->message_count, has = i < q->message_count;
    const char *old_text = had ? c->messages[i].text : "", *new_text = has ? q->messages[i].text : "";
    str_addf(&old_label, "%s, message %zu (%s)", c->path, i + 1,
             had ? chat_role_name(c->messages[i].role) : "none");
    str_addf(&new_label, "the prompt now, message %zu (%s)", i + 1,
             has ? chat_role_name(q->messages[i].role) : "none");
    size_t before = out->len;
    diff_unified(out, old_label.data, old_text, strlen(old_text), new_label.data, new_text,
                 strlen(new_text));
    if (out->len == before) /* only the role differs, or an empty message was added */
        str_addf(out, "--- %s\n+++ %s\n", old_label.data, new_label.data);
}

static int note_drift(struct replay *m, const struct call *c, const struct chat_request *q, size_t at,
                      struct err *e)
{
    if (m->drifted++ == 0)
        add_diff(&m->first_diff, c, q, at);
    if (m->rule == DRIFT_WARN)
        return 0;
    STR_LOCAL(diff);
    add_diff(&diff, c, q, at);
    size_t len = diff.len < 700 ? diff.len : utf8_floor(diff.data, 700);
    return err_set(e, ERR_CONFLICT, "the prompt is not the one that was recorded:\n%.*s", (int)len,
                   diff.data);
}

/* ---- the backend ---- */

static int tell(const struct recorded *r, const struct chat_request *q, struct err *e)
{
    for (size_t at = 0, n; at < r->answer_len; at += n) {
        size_t left = r->answer_len - at;
        n = left <= PIECE ? left : utf8_floor(r->answer + at, PIECE);
        n = n ? n : left; /* never: a character has at most four bytes */
        if (is_cancelled(q->cancel))
            return err_set(e, ERR_CANCELLED, "the call was cancelled");
        if (q->on_text)
            q->on_text(r->answer + at, n, q->ctx);
    }
    return 0;
}

static void fill(struct chat_answer *answer, const struct recorded *r)
{
    str_add_bytes(&answer->text, r->answer, r->answer_len);
    str_add_bytes(&answer->reasoning, r->reasoning, r->reasoning_len);
    snprintf(answer->finish, sizeof answer->finish, "%s", r->finish);
    snprintf(answer->model, sizeof answer->model, "%s", r->model);
    answer->prompt_tokens = r->prompt_tokens;
    answer->cached_tokens = r->cached_tokens;
    answer->completion_tokens = r->answer_tokens;
}

static int replay_chat(struct model *model, const struct chat_request *q, struct chat_answer *answer,
                       struct err *e)
{
    struct replay *m = (struct replay *)model;
    ARENA_LOCAL(a);
    const char *path;
    struct call *c = NULL;
    int r = recording_path(&q->key, &a, &path, e);
    if (r < 0)
        return r;
    pthread_mutex_lock(&m->lock);
    r = load(m, path, 0, &c, e);
    long at = r < 0 ? -1 : first_difference(c, q);
    if (at >= 0)
        r = note_drift(m, c, q, (size_t)at, e);
    pthread_mutex_unlock(&m->lock);
    if (r < 0)
        return r;
    r = tell(&c->recorded, q, e);
    if (r == 0)
        fill(answer, &c->recorded);
    return r;
}

static int replay_describe(struct model *model, const atomic_bool *cancel, const char **ret_name,
                           int64_t *ret_context_tokens, struct err *e)
{
    struct replay *m = (struct replay *)model;
    (void)cancel;
    (void)e;
    *ret_name = m->name;
    *ret_context_tokens = m->context_tokens;
    return 0;
}

static void replay_free(struct model *model)
{
    struct replay *m = (struct replay *)model;
    pthread_mutex_destroy(&m->lock);
    str_release(&m->first_diff);
    arena_release(&m->arena);
    if (m->dir_fd >= 0)
        close(m->dir_fd);
    free(m);
}

static const struct backend replay_backend = {
    .name = "replay", .describe = replay_describe, .chat = replay_chat, .free = replay_free,
};

/* Finds the model in models.txt; without the file, replaying works with a name of ours. */
static int read_models(struct replay *m, const char *wanted, struct err *e)
{
    STR_LOCAL(text);
    m->name = wanted ? arena_strdup(&m->arena, wanted) : "replay";
    m->context_tokens = DEFAULT_CONTEXT;
    if (!file_exists(m->dir_fd, "models.txt"))
        return 0;
    int r = file_read(m->dir_fd, "models.txt", MAX_MODELS_FILE, &text, e);
    if (r < 0)
        return r;
    for (const char *line = text.data; *line; line += strspn(line, "\n")) {
        size_t len = strcspn(line, "\n");
        char *name;
        long long context = strtoll(line, &name, 10);
        size_t name_len = len - (size_t)(name - line);
        if (context > 0 && name_len > 1 && *name == ' ' &&
            (!wanted || (strlen(wanted) == name_len - 1 && memcmp(wanted, name + 1, name_len - 1) == 0))) {
            m->name = arena_strndup(&m->arena, name + 1, name_len - 1);
            m->context_tokens = context;
            return 0;
        }
        line += len;
    }
    return wanted ? err_set(e, ERR_NOT_FOUND, "%s/models.txt has no model \"%.100s\"", m->dir, wanted) : 0;
}

int replay_open_named(struct model **ret, const char *dir, const char *name, enum drift_rule rule,
                      struct err *e)
{
    struct replay *m = xcalloc(1, sizeof *m);
    m->base.backend = &replay_backend;
    m->rule = rule;
    m->dir = arena_strdup(&m->arena, dir);
    m->dir_fd = -1;
    str_init(&m->first_diff);
    pthread_mutex_init(&m->lock, NULL);
    int r = dir_open(dir, false, &m->dir_fd, e);
    if (r == 0)
        r = read_models(m, name, e);
    if (r < 0) {
        err_prefix(e, "the recording cannot be replayed");
        replay_free(&m->base);
        return r;
    }
    *ret = &m->base;
    return 0;
}

int replay_open(struct model **ret, const char *dir, enum drift_rule rule, struct err *e)
{
    return replay_open_named(ret, dir, NULL, rule, e);
}

int64_t replay_drift(struct model *model, struct str *ret_first_diff)
{
    if (model->backend != &replay_backend)
        return 0;
    struct replay *m = (struct replay *)model;
    pthread_mutex_lock(&m->lock);
    int64_t count = m->drifted;
    if (ret_first_diff)
        str_add_str(ret_first_diff, &m->first_diff);
    pthread_mutex_unlock(&m->lock);
    return count;
}
