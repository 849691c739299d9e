/* recording.c - writing answered calls below the directory of the recording.
 *
 * Of each conversation (ticket and role) the last call's messages are remembered as
 * digests, so that the next call's file can refer to them.  A call that is recorded a
 * second time refers to nothing: others may refer to it.
 *
 * Threads: one lock around everything; calls end seconds apart.
 */
#include "model/recording.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "model/backend.h"
#include "os/files.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_NAME = 200, MAX_MODELS_FILE = 1 << 20 };

struct conversation {
    char *folder; /* "T-1/tester" */
    char **calls; /* names of the calls recorded so far */
    size_t call_count, call_cap;
    const char *last;        /* one of them, */
    struct digest *messages; /* ... and its messages */
    size_t message_count;
};

struct recording {
    pthread_mutex_t lock; /* guards all below */
    int dir_fd;
    struct conversation *conversations;
    size_t count, cap;
    struct str models; /* models.txt */
};

/* ---- names ---- */

static void add_name(struct str *out, const char *name)
{
    for (const char *p = name; *p; p++) {
        bool plain = isalnum((unsigned char)*p) || *p == '_' || *p == '-' || (*p == '.' && p != name);
        if (plain)
            str_add_char(out, *p);
        else
            str_addf(out, "%%%02X", (unsigned char)*p);
    }
}

int recording_path(const struct call_key *key, struct arena *a, const char **ret, struct err *e)
{
    STR_LOCAL(path);
    const char *ticket = key->ticket && *key->ticket ? key->ticket : "project";
    if (!key->role || !*key->role || !key->step || !*key->step)
        return err_set(e, ERR_INVALID, "a recorded call needs a role and a step");
    if (strlen(ticket) > MAX_NAME || strlen(key->role) > MAX_NAME || strlen(key->step) > MAX_NAME)
        return err_set(e, ERR_INVALID, "a recorded call's ticket, role and step may have %d bytes each",
                       MAX_NAME);
    add_name(&path, ticket);
    str_add_char(&path, '/');
    add_name(&path, key->role);
    str_add_char(&path, '/');
    add_name(&path, key->step);
    str_addf(&path, ".%" PRId64 ".txt", key->occurrence);
    *ret = arena_strndup(a, path.data, path.len);
    return 0;
}

/* ---- what was recorded before ---- */

static struct conversation *conversation_of(struct recording *r, const char *folder)
{
    for (size_t i = 0; i < r->count; i++)
        if (streq(r->conversations[i].folder, folder))
            return &r->conversations[i];
    XGROW(r->conversations, r->cap, r->count);
    struct conversation *c = &r->conversations[r->count++];
    *c = (struct conversation){ .folder = xstrdup(folder) };
    return c;
}

static struct digest message_digest(const struct chat_message *m)
{
    STR_LOCAL(bytes);
    str_add_char(&bytes, (char)('0' + m->role));
    str_add(&bytes, m->text);
    return digest_of(bytes.data, bytes.len);
}

static const char *find_call(const struct conversation *c, const char *call)
{
    for (size_t i = 0; i < c->call_count; i++)
        if (streq(c->calls[i], call))
            return c->calls[i];
    return NULL;
}

/* Makes the call the last one; returns how many of its messages the one before it began
 * with as well, 0 if it was recorded already. */
static size_t remember(struct conversation *c, const char *call, const struct chat_request *q)
{
    const char *again = find_call(c, call);
    struct digest *now = xreallocarray(NULL, q->message_count + 1, sizeof *now);
    size_t common = 0;
    for (size_t i = 0; i < q->message_count; i++) {
        now[i] = message_digest(&q->messages[i]);
        if (common == i && i < c->message_count && streq(now[i].hex, c->messages[i].hex))
            common++;
    }
    free(c->messages);
    c->messages = now;
    c->message_count = q->message_count;
    if (!again) {
        XGROW(c->calls, c->call_cap, c->call_count);
        c->calls[c->call_count] = xstrdup(call);
        c->last = c->calls[c->call_count++];
        return common;
    }
    c->last = again;
    return 0;
}

/* ---- recording ---- */

int recording_open(struct recording **ret, const char *dir, struct err *e)
{
    struct recording *rec = xcalloc(1, sizeof *rec);
    str_init(&rec->models);
    pthread_mutex_init(&rec->lock, NULL);
    int r = dir_open(dir, true, &rec->dir_fd, e);
    if (r < 0)
        rec->dir_fd = -1;
    else if (file_exists(rec->dir_fd, "models.txt"))
        r = file_read(rec->dir_fd, "models.txt", MAX_MODELS_FILE, &rec->models, e);
    if (r < 0) {
        recording_close(rec);
        return err_prefix(e, "the recording cannot be written");
    }
    *ret = rec;
    return 0;
}

void recording_close(struct recording *rec)
{
    if (!rec)
        return;
    for (size_t i = 0; i < rec->count; i++) {
        struct conversation *c = &rec->conversations[i];
        for (size_t k = 0; k < c->call_count; k++)
            free(c->calls[k]);
        free(c->calls);
        free(c->messages);
        free(c->folder);
    }
    free(rec->conversations);
    str_release(&rec->models);
    if (rec->dir_fd >= 0)
        close(rec->dir_fd);
    pthread_mutex_destroy(&rec->lock);
    free(rec);
}

/* Adds the model to models.txt, unless it is there. */
static int note_model(struct recording *rec, const char *name, int64_t context, struct err *e)
{
    STR_LOCAL(line);
    str_addf(&line, "%" PRId64 " %s\n", context, name);
    const char *found = strstr(rec->models.data, line.data);
    if (found && (found == rec->models.data || found[-1] == '\n'))
        return 0;
    str_add_str(&rec->models, &line);
    return file_write(rec->dir_fd, "models.txt", rec->models.data, rec->models.len, 0644, false, e);
}

static int write_call(struct recording *rec, const char *path, const struct chat_request *q, const struct chat_answer *answer,
                      const char *model, struct err *e)
{
    STR_LOCAL(text);
    STR_LOCAL(folder);
    const char *call = strrchr(path, '/') + 1;
    char *name = xstrndup(call, strlen(call) - strlen(".txt"));
    str_add_bytes(&folder, path, (size_t)(call - 1 - path));
    struct conversation *c = conversation_of(rec, folder.data);
    const char *previous = c->last;
    size_t common = remember(c, name, q);
    struct recorded r = {
        .as_in = common ? previous : NULL, .as_in_count = common,
        .messages = (struct chat_message *)q->messages + common,
        .message_count = q->message_count - common,
        .answer = answer->text.data, .answer_len = answer->text.len,
        .reasoning = answer->reasoning.data, .reasoning_len = answer->reasoning.len,
        .model = answer->model[0] ? answer->model : model, .finish = answer->finish,
        .temperature = q->temperature, .seed = q->seed, .max_tokens = q->max_tokens,
        .prompt_tokens = answer->prompt_tokens, .cached_tokens = answer->cached_tokens,
        .answer_tokens = answer->completion_tokens,
    };
    recording_write(&text, &r);
    free(name);
    return file_write(rec->dir_fd, path, text.data, text.len, 0644, false, e);
}

int recording_take(struct model *m, const struct chat_request *q, const struct chat_answer *answer,
                   struct err *e)
{
    struct recording *rec = m->recording;
    if (!rec)
        return 0;
    ARENA_LOCAL(a);
    const char *path, *name;
    int64_t context;
    int r = recording_path(&q->key, &a, &path, e);
    if (r == 0)
        r = m->backend->describe(m, q->cancel, &name, &context, e);
    if (r < 0)
        return r;
    pthread_mutex_lock(&rec->lock);
    r = note_model(rec, name, context, e);
    if (r == 0)
        r = write_call(rec, path, q, answer, name, e);
    if (r < 0)
        err_prefix(e, "the recording");
    pthread_mutex_unlock(&rec->lock);
    return r;
}
