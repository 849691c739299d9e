/* propose.c - choosing by a few keys in order, the same for each role but for their order. */
#include "model/propose.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/exam.h"

#include <ctype.h>

#define BILLION INT64_C(1000000000)
#define MILLION INT64_C(1000000)

enum { HEAVY_IDLE_S = 120, KEYS = 4 };

/* ---- what a model seems to be ---- */

/* Whether the word stands in the text, in any case; a "-" at its ends stands for what is no letter or digit. */
static bool has_word(const char *text, const char *word)
{
    bool alone = *word == '-';
    size_t len = strlen(word) - 2 * alone;
    const char *core = word + alone;
    for (const char *at = text; *at; at++)
        if (strncasecmp(at, core, len) == 0 &&
            (!alone || ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[len]))))
            return true;
    return false;
}

static bool has_any(const struct model_entry *m, const char *const *words)
{
    for (; *words; words++)
        if (has_word(m->id, *words) || has_word(m->name, *words) || has_word(m->architecture, *words))
            return true;
    return false;
}

unsigned model_hints(const struct model_entry *m)
{
    static const char *const code[] = { "code", "devstral", "codestral", NULL };
    static const char *const reasons[] = { "reason", "think", "qwq", "phi", "-r1-", "magistral", NULL };
    static const char *const vectors[] = { "embed", "bert", "-bge-", "-gte-", "-e5-", "minilm", NULL };
    bool said = m->capabilities.count, embeds = texts_has(&m->capabilities, "embed") && !texts_has(&m->capabilities, "chat");
    return (has_any(m, code) ? MODEL_FOR_CODE : 0U) | (has_any(m, reasons) ? MODEL_REASONS : 0U) |
           ((said ? embeds : has_any(m, vectors)) ? MODEL_FOR_VECTORS : 0U);
}

/* "qwen2.5-coder-7b", "Mixtral-8x7B", "smollm2-135m"; 0: no such word. */
static int64_t parameters_in(const char *name)
{
    for (const char *at = name; *at; at++) {
        char *end;
        if (!isdigit((unsigned char)*at) || (at > name && (isalnum((unsigned char)at[-1]) || at[-1] == '.')))
            continue;
        double number = strtod(at, &end), times = 1;
        if (*end == 'x' && isdigit((unsigned char)end[1])) {
            times = number;
            number = strtod(end + 1, &end);
        }
        bool word_ends = *end && !isalnum((unsigned char)end[1]);
        if (word_ends && tolower((unsigned char)*end) == 'b')
            return (int64_t)(number * times * (double)BILLION);
        if (word_ends && tolower((unsigned char)*end) == 'm')
            return (int64_t)(number * times * (double)MILLION);
        at = end > at ? end - 1 : at;
    }
    return 0;
}

int64_t model_parameters(const struct model_entry *m)
{
    enum { BYTES_OF_FIVE = 3 }; /* at four to five bits each */
    int64_t named = parameters_in(m->name);
    named = named ? named : parameters_in(m->id);
    return m->parameters ? m->parameters : named ? named : m->bytes / BYTES_OF_FIVE * 5;
}

/* ---- choosing ---- */

struct taste {
    const char *role;
    int64_t small;    /* larger ones are slow for this; 0: the larger the better */
    unsigned likes, dislikes; /* hints */
    bool hint_first;  /* the right kind rather than the right size */
};

/* 2: its exam shows that it can do it; 1: it was not examined; 0: it falls short. */
static int64_t exam_rank(const struct registry *r, const struct model_entry *m, const char *role)
{
    const struct exam_card *c = registry_exam(r, m->id);
    STR_LOCAL(lacks);
    const struct exam_role *needs = exam_roles;
    while (needs->role && !streq(needs->role, role))
        needs++;
    if (!c || !needs->role)
        return 1;
    exam_role_lacks(c, needs, &lacks);
    return lacks.len ? 0 : 2;
}

/* Compared in order, the larger one wins. */
static void keys_of(const struct registry *r, const struct model_entry *m, const struct taste *t, int64_t keys[KEYS])
{
    unsigned hints = model_hints(m);
    int64_t size = model_parameters(m), kind = (hints & t->likes ? 1 : 0) - (hints & t->dislikes ? 1 : 0);
    bool fits = !t->small || size <= t->small;
    keys[0] = exam_rank(r, m, t->role);
    keys[1] = t->hint_first ? kind : fits;
    keys[2] = t->hint_first ? fits : kind;
    keys[3] = fits ? size : -size;
}

static bool is_better(const int64_t a[KEYS], const int64_t b[KEYS])
{
    for (int i = 0; i < KEYS; i++)
        if (a[i] != b[i])
            return a[i] > b[i];
    return false;
}

/* Of those for vectors, or of all others; NULL: there is none. */
static const struct model_entry *choose(const struct registry *r, const struct taste *t, bool for_vectors)
{
    const struct model_entry *models = r->models.items, *best = NULL;
    int64_t best_keys[KEYS] = { 0 };
    for (size_t i = 0; i < r->models.count; i++) {
        int64_t keys[KEYS];
        if (for_vectors != ((model_hints(&models[i]) & MODEL_FOR_VECTORS) != 0))
            continue;
        keys_of(r, &models[i], t, keys);
        if (best && !is_better(keys, best_keys))
            continue;
        best = &models[i];
        memcpy(best_keys, keys, sizeof keys);
    }
    return best;
}

/* ---- the proposal ---- */

static const char *reason(struct arena *a, const struct registry *r, const struct model_entry *m, const char *role, bool is_heavy)
{
    STR_LOCAL(text);
    unsigned hints = model_hints(m);
    int64_t size = model_parameters(m), rank = exam_rank(r, m, role);
    str_add(&text, is_heavy ? "the heaviest" : hints & MODEL_FOR_VECTORS ? "makes vectors" : hints & MODEL_FOR_CODE ? "made for code"
                   : hints & MODEL_REASONS ? "made for reasoning" : "what there is");
    if (size >= BILLION)
        str_addf(&text, ", %.1f B", (double)size / (double)BILLION);
    else if (size)
        str_addf(&text, ", %lld M", (long long)(size / MILLION));
    if (!(hints & MODEL_FOR_VECTORS))
        str_add(&text, rank == 2 ? ", its exam is good enough" : rank ? ", not examined" : ", its exam falls short");
    return arena_strdup(a, text.data);
}

static void add(struct arena *a, const struct registry *r, struct proposal *p, const char *role, const struct model_entry *m,
                const struct model_entry *heavy)
{
    if (!m || registry_route(r, role))
        return;
    p->routes[p->count] = (struct route_entry){ .id = role, .primary = m->id, .fallback = heavy && heavy != m ? heavy->id : "" };
    p->reasons[p->count++] = reason(a, r, m, role, m == heavy);
}

/* On demand, one call at a time, gone after two idle minutes; as far as it is ours to say. */
static const struct model_entry *tamed(struct arena *a, const struct registry *r, const struct model_entry *heavy)
{
    const struct backend_entry *b = registry_backend(r, *heavy->backend ? heavy->backend : "llama-server");
    struct model_entry *m = ARENA_NEW(a, struct model_entry);
    *m = *heavy;
    if (m->pinned || !b || b->kind != BACKEND_LLAMA_SERVER)
        return NULL;
    m->slots = 1;
    m->idle_s = m->idle_s ? m->idle_s : HEAVY_IDLE_S;
    return m->slots == heavy->slots && m->idle_s == heavy->idle_s ? NULL : m;
}

void routes_propose(struct arena *a, const struct registry *r, struct proposal *ret)
{
    enum { ROLES = 8 };
    static const struct taste coder = { "developer", 20 * BILLION, MODEL_FOR_CODE, 0, true },
                              thinker = { "pm", 9 * BILLION, MODEL_REASONS, MODEL_FOR_CODE, false },
                              strong = { "architect", 0, 0, 0, false }, reader = { "embedding", 0, 0, 0, false };
    const struct model_entry *code = choose(r, &coder, false), *small = choose(r, &thinker, false), *heavy = choose(r, &strong, false);
    *ret = (struct proposal){ ARENA_ARRAY(a, struct route_entry, ROLES), ARENA_ARRAY(a, const char *, ROLES), 0, NULL };
    if (heavy && small && model_parameters(small) > model_parameters(code) && small == heavy)
        small = code; /* there is no small one beside it */
    add(a, r, ret, "developer", code, heavy);
    add(a, r, ret, "tester", code, heavy);
    add(a, r, ret, "pm", small, heavy);
    add(a, r, ret, "resource-director", small, heavy);
    add(a, r, ret, "architect", heavy, heavy);
    add(a, r, ret, "embedding", choose(r, &reader, true), NULL);
    if (ret->count && heavy && heavy != code && heavy != small)
        ret->heavy = tamed(a, r, heavy);
}
