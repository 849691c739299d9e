/* models.c - model files in and out of the home. */
#include "cli/models.h"

#include "base/str.h"
#include "cli/place.h"
#include "cli/server.h"
#include "model/gguf.h"
#include "model/shelf.h"
#include "web/home_api.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PERCENT = 100, MIB = 1 << 20 };

const char *models_user(struct session *s)
{
    struct digest home = digest_of(s->home, strlen(s->home));
    return *s->in->settings.models_dir ? arena_printf(&s->in->arena, "%.16s", home.hex) : NULL;
}

const char *models_dir(struct session *s)
{
    const char *set = s->in->settings.models_dir;
    return *set ? set : arena_printf(&s->in->arena, "%s/models", s->home);
}

int models_open(struct session *s, const char *name, int64_t context, struct model **ret, struct err *e)
{
    if (!s->server) {
        int r = session_manager(s, e);
        if (r == 0)
            *ret = manager_model(s->manager, name, 0);
        return r;
    }
    struct model_options o = model_default_options;
    office_model_options(&s->in->settings, &o);
    o.url = arena_printf(&s->in->arena, "unix:%s", s->server);
    o.name = name;
    if (context)
        o.context_tokens = context;
    return model_open(ret, &o, e);
}

/* ---- changes ---- */

int models_put(struct session *s, const struct registry *change, struct err *e)
{
    const char *person = session_login(&s->in->arena);
    json_t *answer;
    if (!s->server)
        return registry_put(s->store, change, person, e);
    struct home_change sent = { person, *change };
    return server_ask(s, "POST", "/tandem/registry", record_write(&home_change_record, &sent), &answer, e);
}

int models_drop(struct session *s, enum registry_kind kind, const char *id, struct err *e)
{
    const char *person = session_login(&s->in->arena);
    json_t *answer;
    if (!s->server)
        return registry_remove(s->store, kind, id, person, e);
    struct home_removal sent = { person, (int)kind, id };
    return server_ask(s, "POST", "/tandem/registry/remove", record_write(&home_removal_record, &sent), &answer, e);
}

struct reading {
    struct session *session;
    const char *path;
};

/* They are read where the models run, and that process was started elsewhere. */
static void make_paths_whole(struct arena *a, const struct registry *change, const char *file)
{
    struct backend_entry *all = change->backends.items;
    for (size_t i = 0; i < change->backends.count; i++) {
        all[i].key_file = place_beside(a, file, all[i].key_file);
        all[i].ca_file = place_beside(a, file, all[i].ca_file);
        if (all[i].kind == BACKEND_LLAMA_SERVER && strchr(all[i].program, '/'))
            all[i].program = place_beside(a, file, all[i].program);
    }
}

/* Entries of another machine name files that may not be on this one. */
static void note_missing_files(struct session *s, const struct registry *change)
{
    const struct model_entry *all = change->models.items;
    for (size_t i = 0; i < change->models.count; i++)
        if (*all[i].file && access(shelf_path(&s->in->arena, models_dir(s), all[i].file), R_OK) < 0)
            fprintf(stderr, "tandem: the file of the model %s (SHA-256 %.12s...) is not here yet: `tandem model import FILE --id %s` brings it\n",
                    all[i].id, all[i].file, all[i].id);
}

static int put_read(const struct registry *change, void *ctx, struct err *e)
{
    const struct reading *of = ctx;
    make_paths_whole(&of->session->in->arena, change, of->path);
    int r = models_take_folders_in(of->session, change, of->path, e);
    if (r == 0)
        r = models_put(of->session, change, e);
    if (r == 0)
        note_missing_files(of->session, change);
    return r;
}

int models_import_yaml(struct session *s, const char *path, const char *text, size_t len, struct err *e)
{
    struct reading of = { s, path };
    return registry_import_yaml(s->store, path, text, len, put_read, &of, e);
}

/* ---- import ---- */

/* "dir/Qwen2.5 Coder.gguf" becomes "Qwen2.5-Coder". */
const char *models_id_of_path(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *id = arena_strdup(a, slash ? slash + 1 : path);
    if (ends_with(id, ".gguf"))
        id[strlen(id) - 5] = '\0';
    for (char *c = id; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._:-", *c))
            *c = '-';
    while (*id && !isalnum((unsigned char)*id))
        id++;
    return *id ? id : "model";
}

struct progress {
    struct session *session;
    int64_t shown;
};

static void show(int64_t done, int64_t total, void *ctx)
{
    struct progress *p = ctx;
    int64_t percent = total ? done * PERCENT / total : PERCENT;
    if (!p->session->term.is_terminal || percent == p->shown)
        return;
    p->shown = percent;
    fprintf(stderr, "\rCopying: %lld %% of %lld MiB%s", (long long)percent, (long long)(total / MIB), done == total ? "\n" : "");
}

/* What the file says of itself; refused here is what no server could load. */
static int read_gguf(struct session *s, const char *path, struct gguf_info *ret, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "there is no file %s", path)
                               : err_set_errno(e, ERR_FAILED, errno, "cannot read %s", path);
    int r = gguf_read(&s->in->arena, fd, ret, e);
    if (r == 0)
        r = gguf_require_model(ret, e);
    close(fd);
    return r < 0 ? err_prefix(e, "%s", path) : 0;
}

void models_describe(const struct gguf_info *info, struct model_entry *entry)
{
    entry->architecture = info->architecture;
    entry->quantisation = info->quantisation;
    entry->template_digest = info->template_digest.hex;
    entry->parameters = info->parameters;
    entry->trained_context = info->context;
}

static void add_capability(struct arena *a, const struct gguf_info *info, struct model_entry *entry)
{
    bool embeds = *info->pooling && !streq(info->pooling, "none");
    if (!entry->capabilities.count)
        texts_add(&entry->capabilities, a, embeds ? "embed" : "chat");
}

/* The entry of this id with the new file, one version on; a new one otherwise. */
static int put_entry(struct session *s, const char *id, const struct digest *file, int64_t bytes, const struct gguf_info *info,
                     bool *ret_same, struct err *e)
{
    struct registry r;
    int code = registry_load(s->store, &s->in->arena, &r, e);
    if (code < 0)
        return code;
    const struct model_entry *old = registry_model(&r, id);
    struct model_entry entry = old ? *old : (struct model_entry){ .id = id, .backend = "", .name = "", .architecture = "",
        .quantisation = "", .template_digest = "", .gpu_layers = "", .slots = 1, .replicas = 1 };
    bool is_known = old && streq(old->file, file->hex);
    *ret_same = is_known && *old->architecture; /* else it was only named so far */
    if (*ret_same)
        return 0;
    entry.version = is_known ? old->version : old ? old->version + 1 : 1;
    entry.file = file->hex;
    entry.bytes = bytes;
    models_describe(info, &entry);
    add_capability(&s->in->arena, info, &entry);
    struct registry change = { .models = { &entry, 1 } };
    return models_put(s, &change, e);
}

int models_check_names(struct session *s, const char *id, const char *sha256, struct err *e)
{
    enum { HEX = 64 };
    struct registry now;
    char where[100];
    struct digest some = digest_of("", 0);
    struct model_entry entry = { .id = id, .backend = "", .name = "", .architecture = "", .quantisation = "", .template_digest = "",
                                 .gpu_layers = "", .slots = 1, .replicas = 1, .file = some.hex };
    struct registry part = { .models = { &entry, 1 } };
    if (sha256 && (strlen(sha256) != HEX || strspn(sha256, "0123456789abcdefABCDEF") != HEX))
        return err_set(e, ERR_USAGE, "--sha256 is \"%.80s\"; a SHA-256 has 64 hexadecimal digits", sha256);
    int r = registry_load(s->store, &s->in->arena, &now, e);
    if (r == 0 && registry_check(&now, &part, where, sizeof where, e) < 0)
        return err_set(e, ERR_USAGE, "the model's id %s; --id ID gives it another one", arena_strdup(&s->in->arena, e->text));
    return r;
}

int models_import_file(struct session *s, const char *path, const char *id, const char *sha256, struct err *e)
{
    struct progress progress = { s, -1 };
    struct shelf_options o = { .dir = models_dir(s), .user = models_user(s), .expected = sha256, .cancel = &session_interrupted, .progress = show, .ctx = &progress };
    struct digest file;
    int64_t bytes;
    bool was_there, same;
    struct gguf_info info;
    session_catch_signals();
    id = id ? id : models_id_of_path(&s->in->arena, path);
    int r = models_check_names(s, id, sha256, e);
    if (r == 0)
        r = read_gguf(s, path, &info, e);
    if (r == 0)
        r = shelf_put(path, &o, &file, &bytes, &was_there, e);
    if (r < 0)
        return r;
    r = put_entry(s, id, &file, bytes, &info, &same, e);
    if (r < 0) {
        if (!was_there)
            shelf_remove(o.dir, file.hex, o.user, NULL);
        return r;
    }
    if (same)
        fprintf(s->in->out, "%s is this file already; nothing has changed.\n", id);
    else
        fprintf(s->in->out, "%s is taken in: %s %s, trained for a context of %lld tokens, %lld MiB, SHA-256 %.12s... `tandem model ask "
                            "%s \"...\"` tries it, `tandem model exam %s` measures it, `tandem model route --default` puts the models to work.\n", id, info.architecture,
                info.quantisation, (long long)info.context, (long long)(bytes / MIB), file.hex, id, id);
    return 0;
}

/* ---- rm ---- */

int models_remove(struct session *s, const char *id, struct err *e)
{
    struct registry r;
    int code = registry_load(s->store, &s->in->arena, &r, e);
    const struct model_entry *entry = code == 0 ? registry_model(&r, id) : NULL;
    if (code == 0)
        code = models_drop(s, REGISTRY_MODEL, id, e);
    if (code == 0)
        code = models_drop_adapter(s, &r, entry, e);
    if (code < 0)
        return code;
    bool shared = false;
    const struct model_entry *all = r.models.items;
    for (size_t i = 0; i < r.models.count; i++)
        shared = shared || (&all[i] != entry && streq(all[i].file, entry->file));
    if (*entry->file && !shared)
        code = shelf_remove(models_dir(s), entry->file, models_user(s), e);
    return code == ERR_NOT_FOUND ? 0 : code;
}
