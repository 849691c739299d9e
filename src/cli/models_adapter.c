/* models_adapter.c - adapters in and out of the home. */
#include "cli/models.h"

#include "base/str.h"
#include "cli/place.h"
#include "model/adapter_shelf.h"
#include "model/gguf.h"
#include "model/shelf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool models_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whether some backend but `id` runs this program. */
static bool is_shared(const struct registry *r, const char *id, const char *program)
{
    const struct backend_entry *all = r->backends.items;
    for (size_t i = 0; i < r->backends.count; i++)
        if (!streq(all[i].id, id) && all[i].kind == BACKEND_ADAPTER && streq(all[i].program, program))
            return true;
    return false;
}

static const char *id_of_folder(struct session *s, const char *folder)
{
    char *path = arena_strdup(&s->in->arena, folder);
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    return models_id_of_path(&s->in->arena, path);
}

/* The entry of the backend with the new program. */
static int backend_with(const struct registry *now, const char *id, const char *program, struct backend_entry *ret, struct err *e)
{
    const struct backend_entry *old = registry_backend(now, id);
    if (old && old->kind != BACKEND_ADAPTER)
        return err_set(e, ERR_EXISTS, "the backend %s is not an adapter but a place of another kind; rename the folder", id);
    *ret = old ? *old : (struct backend_entry){ .id = id, .kind = BACKEND_ADAPTER, .url = "", .key_file = "", .ca_file = "" };
    ret->program = program;
    return 0;
}

struct taken {
    const char *program;
    struct digest file;
    int64_t bytes;
    struct gguf_info info; /* of a file that says something of itself */
    bool program_was_there, file_was_there;
};

static struct model_entry model_on(const struct registry *now, const char *id, const char *backend, const struct taken *t)
{
    const struct model_entry *old = registry_model(now, id);
    struct model_entry m = old ? *old : (struct model_entry){ .id = id, .name = "", .architecture = "", .quantisation = "",
        .template_digest = "", .gpu_layers = "", .slots = 1, .replicas = 1 };
    m.version = old ? old->version + 1 : 1;
    m.backend = backend;
    m.file = t->file.hex;
    m.bytes = t->bytes;
    models_describe(&t->info, &m);
    return m;
}

static int put_file(struct session *s, const char *path, const char *sha256, struct digest *ret, int64_t *ret_bytes, bool *ret_was_there,
                    struct err *e)
{
    struct shelf_options o = { .dir = models_dir(s), .user = models_user(s), .expected = sha256, .cancel = &session_interrupted };
    session_catch_signals();
    return shelf_put(path, &o, ret, ret_bytes, ret_was_there, e);
}

static bool is_same(const struct registry *now, const struct backend_entry *b, const struct model_entry *m)
{
    const struct backend_entry *old = registry_backend(now, b->id);
    const struct model_entry *was = registry_model(now, m->id);
    return old && was && streq(old->program, b->program) && streq(was->file, m->file) && streq(was->backend, b->id);
}

static int put_entries(struct session *s, const char *folder, const char *id, const struct taken *t, struct err *e)
{
    struct registry now;
    struct backend_entry backend;
    int r = registry_load(s->store, &s->in->arena, &now, e);
    if (r == 0)
        r = backend_with(&now, id_of_folder(s, folder), t->program, &backend, e);
    if (r < 0)
        return r;
    struct model_entry model = model_on(&now, id, backend.id, t);
    struct registry change = { .backends = { &backend, 1 }, .models = { &model, 1 } };
    if (is_same(&now, &backend, &model)) {
        fprintf(s->in->out, "%s is this adapter already; nothing has changed.\n", id);
        return 0;
    }
    const struct backend_entry *old = registry_backend(&now, backend.id);
    r = models_put(s, &change, e);
    if (r < 0)
        return r;
    if (old && !streq(old->program, t->program) && !is_shared(&now, old->id, old->program))
        adapter_shelf_remove(models_dir(s), old->program, NULL);
    fprintf(s->in->out, "%s is taken in: it runs on the adapter %s (%.19s...)%s. `tandem model ask %s \"...\"` tries it, `tandem model route "
                        "developer %s` puts it to work.\n", id, backend.id, t->program, *t->file.hex ? ", with its file" : "", id, id);
    return 0;
}

/* Files of other forms are as good: what they are is the adapter's business. */
static void look_into(struct session *s, const char *file, struct gguf_info *ret)
{
    struct gguf_info info;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && gguf_read(&s->in->arena, fd, &info, NULL) == 0)
        *ret = info;
    if (fd >= 0)
        close(fd);
}

int models_import_adapter(struct session *s, const char *folder, const char *file, const char *id, const char *sha256, struct err *e)
{
    struct taken t = { .file = { "" }, .info = { .architecture = "", .quantisation = "" } };
    const char *dir = models_dir(s);
    id = id ? id : file ? models_id_of_path(&s->in->arena, file) : id_of_folder(s, folder);
    int r = models_check_names(s, id, sha256, e);
    if (r < 0)
        return r;
    if (file)
        look_into(s, file, &t.info);
    r = adapter_shelf_put(&s->in->arena, folder, dir, &t.program, &t.program_was_there, e);
    if (r == 0 && file)
        r = put_file(s, file, sha256, &t.file, &t.bytes, &t.file_was_there, e);
    if (r == 0)
        r = put_entries(s, folder, id, &t, e);
    if (r < 0 && t.program && !t.program_was_there)
        adapter_shelf_remove(dir, t.program, NULL);
    if (r < 0 && *t.file.hex && !t.file_was_there)
        shelf_remove(dir, t.file.hex, models_user(s), NULL);
    return r;
}

int models_take_folders_in(struct session *s, const struct registry *change, const char *beside, struct err *e)
{
    struct arena *a = &s->in->arena;
    struct backend_entry *all = change->backends.items;
    for (size_t i = 0; i < change->backends.count; i++) {
        bool was_there;
        if (all[i].kind != BACKEND_ADAPTER || starts_with(all[i].program, ADAPTER_SHELF_PREFIX))
            continue;
        int r = adapter_shelf_put(a, place_beside(a, beside, all[i].program), models_dir(s), &all[i].program, &was_there, e);
        if (r < 0)
            return err_prefix(e, "the backend %s", all[i].id);
    }
    return 0;
}

int models_drop_adapter(struct session *s, const struct registry *before, const struct model_entry *gone, struct err *e)
{
    const struct backend_entry *b = registry_backend(before, gone->backend);
    const struct model_entry *all = before->models.items;
    if (!b || b->kind != BACKEND_ADAPTER)
        return 0;
    for (size_t i = 0; i < before->models.count; i++)
        if (&all[i] != gone && streq(all[i].backend, b->id))
            return 0;
    int r = models_drop(s, REGISTRY_BACKEND, b->id, e);
    if (r == 0 && !is_shared(before, b->id, b->program))
        adapter_shelf_remove(models_dir(s), b->program, NULL);
    return r;
}
