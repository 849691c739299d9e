/* Vectors that are kept: what is made once, and what is noticed when the model is another one.  The
 * model is a fake that counts the texts it reads; the store is real. */
#include "check.h"
#include "scratch.h"

#include "base/alloc.h"
#include "model/backend.h"
#include "model/registry.h"
#include "model/vectors.h"

#include <stdlib.h>

struct counting {
    struct model base;
    size_t read, dimensions;
    int64_t version;
};

/* The first number of a text's vector is its length, the second 1, all others 0. */
static int count_texts(struct model *model, const struct embed_request *q, struct embeddings *v, struct err *e)
{
    (void)e;
    struct counting *m = (struct counting *)model;
    v->values = xcalloc(q->count, m->dimensions * sizeof *v->values);
    for (size_t i = 0; i < q->count; i++) {
        v->values[i * m->dimensions] = (float)strlen(q->texts[i]);
        v->values[i * m->dimensions + 1] = 1;
    }
    v->count = q->count;
    v->dimensions = m->dimensions;
    v->version = m->version;
    m->read += q->count;
    return 0;
}

static const struct backend counting_backend = { .name = "counting", .embed = count_texts };

struct fixture {
    struct scratch room;
    struct store *store;
    struct counting model;
    struct err e;
};

static void register_model(struct fixture *f, const char *model, int64_t version)
{
    struct backend_entry backend = { .id = "box", .kind = BACKEND_OPENAI, .url = "http://127.0.0.1:9/v1", .program = "", .key_file = "", .ca_file = "" };
    struct model_entry entry = { .id = model, .backend = "box", .name = "", .version = version, .file = "", .architecture = "", .quantisation = "",
                                 .template_digest = "", .gpu_layers = "", .slots = 1, .replicas = 1 };
    struct route_entry route = { .id = "embedding", .primary = model, .fallback = "" };
    struct registry change = { .backends = { &backend, 1 }, .models = { &entry, 1 }, .routes = { &route, 1 } };
    check_ok(registry_put(f->store, &change, "Ada", &f->e), &f->e);
    f->model.version = version;
}

static int set_up(void **state)
{
    static struct fixture f;
    static const struct doc_type *const types[] = { &backend_type, &model_type, &route_type, &vector_type, &vector_source_type };
    f = (struct fixture){ .model = { .base = { &counting_backend }, .dimensions = 4 } };
    scratch_make(&f.room);
    check_ok(store_open(&f.store, scratch_path(&f.room, "home"), types, sizeof types / sizeof *types, &f.e), &f.e);
    register_model(&f, "nomic", 1);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    scratch_remove(&f->room);
    return 0;
}

/* Checks what every answer has to be, and gives how many of it were kept. */
static size_t vectors(struct fixture *f, const char *const *texts, size_t count, bool changed, const char *before)
{
    struct vectors v;
    struct vectors_wish w = { "embedding", { .texts = texts, .count = count }, 1000 };
    check_ok(vectors_of(f->store, &f->model.base, &w, &v, &f->e), &f->e);
    assert_int_equal(v.all.count, count);
    assert_int_equal(v.all.dimensions, f->model.dimensions);
    for (size_t i = 0; i < count; i++)
        assert_true(v.all.values[i * v.all.dimensions] == (float)strlen(texts[i]));
    assert_int_equal(v.changed, changed);
    if (before)
        assert_string_equal(v.before, before);
    size_t kept = v.kept;
    vectors_release(&v);
    return kept;
}

#define VECTORS(f, changed, before, ...) \
    vectors(f, (const char *const[]){ __VA_ARGS__ }, sizeof (const char *[]){ __VA_ARGS__ } / sizeof(char *), changed, before)

static void a_text_is_read_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(VECTORS(f, false, "", "a", "bcd"), 0);
    assert_int_equal(VECTORS(f, false, "", "ef", "bcd", "a"), 2);
    assert_int_equal(f->model.read, 3);
}

static void a_text_that_comes_twice_is_no_conflict(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(VECTORS(f, false, "", "a", "a"), 0);
    assert_int_equal(VECTORS(f, false, "", "a"), 1);
}

static void another_version_is_noticed_and_made_anew(void **state)
{
    struct fixture *f = *state;
    VECTORS(f, false, "", "a", "bcd");
    register_model(f, "nomic", 2);
    assert_int_equal(VECTORS(f, true, "nomic version 1, 4 numbers", "a"), 0);
    assert_int_equal(VECTORS(f, false, "", "a"), 1);
    register_model(f, "bge", 1);
    assert_int_equal(VECTORS(f, true, "nomic version 2, 4 numbers", "a"), 0);
}

static void vectors_of_another_size_replace_what_was_kept(void **state)
{
    struct fixture *f = *state;
    VECTORS(f, false, "", "a", "bcd");
    f->model.dimensions = 6;
    assert_int_equal(VECTORS(f, true, "nomic version 1, 4 numbers", "a", "ef"), 0);
    assert_int_equal(VECTORS(f, false, "", "a", "ef"), 2);
}

/* The registry was changed after it was looked at. */
static void a_version_that_is_rolled_in_meanwhile_is_not_mixed(void **state)
{
    struct fixture *f = *state;
    VECTORS(f, false, "", "a");
    f->model.version = 2;
    assert_int_equal(VECTORS(f, true, NULL, "a", "bcd"), 0);
    f->model.read = 0;
    register_model(f, "nomic", 2);
    assert_int_equal(VECTORS(f, false, "", "a", "bcd"), 2);
    assert_int_equal(f->model.read, 0);
}

static void no_more_than_wished_are_kept(void **state)
{
    struct fixture *f = *state;
    const char *const texts[] = { "a", "bc", "def" };
    struct vectors_wish w = { "embedding", { .texts = texts, .count = 3 }, 2 };
    struct vectors v;
    int64_t count;
    check_ok(vectors_of(f->store, &f->model.base, &w, &v, &f->e), &f->e);
    vectors_release(&v);
    check_ok(store_count(f->store, &vector_type, NULL, &count, &f->e), &f->e);
    assert_int_equal(count, 2);
}

static void nothing_is_kept_for_a_name_that_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct vectors v;
    struct vectors_wish w = { "nosuch", { .texts = (const char *const[]){ "a" }, .count = 1 }, 10 };
    check_err(vectors_of(f->store, &f->model.base, &w, &v, &f->e), ERR_NOT_FOUND, &f->e, "nosuch");
}

static void likeness_is_the_cosine(void **state)
{
    (void)state;
    const float x[] = { 1, 0 }, y[] = { 0, 3 }, z[] = { 2, 2 }, none[] = { 0, 0 };
    assert_float_equal(vectors_likeness(x, x, 2), 1, 1e-6);
    assert_float_equal(vectors_likeness(x, y, 2), 0, 1e-6);
    assert_float_equal(vectors_likeness(x, z, 2), 0.70710678, 1e-6);
    assert_float_equal(vectors_likeness(x, none, 2), 0, 1e-6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_text_is_read_once),
        TEST(a_text_that_comes_twice_is_no_conflict),
        TEST(another_version_is_noticed_and_made_anew),
        TEST(vectors_of_another_size_replace_what_was_kept),
        TEST(a_version_that_is_rolled_in_meanwhile_is_not_mixed),
        TEST(no_more_than_wished_are_kept),
        TEST(nothing_is_kept_for_a_name_that_is_not_there),
        cmocka_unit_test(likeness_is_the_cosine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
