/* upstream_script.c - the script of the fake model server: what it shall do, and how often it did.
 *
 * The file is read again for each request, so that a test can change it between two.  How often a
 * rule was used is remembered by what the rule says, so that an unchanged rule goes on counting
 * when the file around it changes.
 */
#include "fake.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/yaml.h"
#include "os/files.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_SCRIPT = 8 << 20 };

static const char *const framings[] = { "chunked", "length", "close", NULL };
static const char *const thens[] = { "keep", "close", "reset", "hang", "crash", "exit", "grow", NULL };

#define RULE(member, kind, ...) FIELD(struct rule, member, kind, __VA_ARGS__)
static const struct field rule_fields[] = {
    RULE(on, FIELD_TEXT, .doc = "the path; without one every path"),
    RULE(has, FIELD_TEXT, .doc = "words that the body has to hold"),
    RULE(model, FIELD_TEXT, .doc = "the server's name for its model"),
    RULE(skip, FIELD_INT, .doc = "so many requests that fit get something else first"),
    RULE(times, FIELD_INT, .doc = "good for so many requests; 0: for all"),
    RULE(after_ms, FIELD_INT, .doc = "silence before the headers"),
    /* A reply of its own; begins with a status, or with `raw`. */
    RULE(status, FIELD_INT, .max = 999, .doc = "replaces the whole reply; without one the pose answers"),
    RULE(type, FIELD_TEXT, .doc = "content type; application/json"),
    RULE(body, FIELD_TEXT, .max = 8 << 20, .doc = "of the reply"),
    RULE(headers, FIELD_TEXTS, .doc = "more header lines: \"Retry-After: 1\""),
    RULE(raw, FIELD_BOOL, .doc = "`body` is all that is sent: no status line, no headers"),
    RULE(latin1, FIELD_BOOL, .doc = "characters up to U+00FF of `body` are sent as one byte each"),
    RULE(framing, FIELD_ENUM, .choices = framings, .doc = "how the end of the body is told"),
    RULE(length, FIELD_INT, .doc = "what Content-Length claims; 0: the truth"),
    RULE(repeat, FIELD_INT, .doc = "the body so many times over"),
    RULE(piece, FIELD_INT, .doc = "the body, or each event of an answer, in pieces of so many bytes"),
    RULE(pause_ms, FIELD_INT, .doc = "silence before each further piece"),
    /* A model's answer. */
    RULE(text, FIELD_TEXT, .max = 8 << 20, .doc = "what the model says"),
    RULE(reasoning, FIELD_TEXT, .max = 8 << 20, .doc = "what it thinks before"),
    RULE(finish, FIELD_TEXT, .doc = "stop"),
    RULE(tokens_per_s, FIELD_INT, .doc = "0: at once"),
    RULE(read_tokens_per_s, FIELD_INT, .doc = "of the prompt; 0: at once"),
    RULE(dones, FIELD_INT, .doc = "so many more [DONE] than one"),
    RULE(no_usage, FIELD_BOOL, .doc = "tells no figures"),
    RULE(no_done, FIELD_BOOL, .doc = "no [DONE]"),
    /* How it ends. */
    RULE(cut, FIELD_INT, .min = -1, .max = INT64_MAX, .doc = "bytes of body after which `then` comes; -1: not even headers, 0: after all"),
    RULE(then, FIELD_ENUM, .choices = thens, .doc = "what comes then"),
    RULE(exit, FIELD_INT, .max = 255, .doc = "status of `exit`"),
    RULE(grow_mib, FIELD_INT, .doc = "memory that `grow` takes"),
};
static const struct record rule_record = RECORD("rule", struct rule, rule_fields);

#define LIFE(member, kind, ...) FIELD(struct life, member, kind, __VA_ARGS__)
static const struct field life_fields[] = {
    LIFE(model, FIELD_TEXT, .doc = "the server's name for its model; without one every model"),
    LIFE(skip, FIELD_INT, .doc = "so many starts are otherwise first (counted in the log)"),
    LIFE(times, FIELD_INT, .doc = "good for so many starts; 0: for all"),
    LIFE(listen_ms, FIELD_INT, .doc = "until it listens"),
    LIFE(load_ms, FIELD_INT, .doc = "until its model is loaded"),
    LIFE(says, FIELD_TEXT, .doc = "on standard error, when loading ends"),
    LIFE(exit, FIELD_INT, .max = 255, .doc = "ends with this status instead of being ready"),
    LIFE(crash, FIELD_BOOL, .doc = "a segmentation fault instead of being ready"),
    LIFE(most_context, FIELD_INT, .doc = "tokens of context, of all slots, for which memory suffices"),
    LIFE(most_gpu_layers, FIELD_INT, .doc = "layers for which the GPU's memory suffices"),
    LIFE(memory_mib, FIELD_INT, .doc = "memory that it takes when it loads"),
    LIFE(calls_itself, FIELD_TEXT, .doc = "another name than the one it was given"),
    LIFE(context, FIELD_INT, .doc = "another context of a slot than the one it was given"),
    LIFE(ignore_term, FIELD_BOOL, .doc = "SIGTERM does not end it"),
    LIFE(term_ms, FIELD_INT, .doc = "from SIGTERM to its end"),
};
static const struct record life_record = RECORD("life", struct life, life_fields);

#define SCRIPT(member, kind, ...) FIELD(struct script, member, kind, __VA_ARGS__)
static const struct field script_fields[] = {
    SCRIPT(life, FIELD_RECORDS, .of = &life_record, .doc = "the first that fits counts"),
    SCRIPT(rules, FIELD_RECORDS, .of = &rule_record, .doc = "the first that fits counts"),
    SCRIPT(models, FIELD_TEXTS, .doc = "names that it lists; of vllm and ollama"),
    SCRIPT(text, FIELD_TEXT, .max = 8 << 20, .doc = "what its model says"),
    SCRIPT(context, FIELD_INT, .doc = "tokens; of vllm and ollama"),
    SCRIPT(most_context, FIELD_INT, .doc = "tokens, however many are asked for; of ollama"),
    SCRIPT(version, FIELD_TEXT, .doc = "0.17.4; of ollama"),
    SCRIPT(parameters, FIELD_TEXT, .doc = "lines of its model's Modelfile: \"num_ctx 8192\"; of ollama"),
    SCRIPT(dimensions, FIELD_INT, .max = 100000, .doc = "of a vector; 8"),
    SCRIPT(tokens_per_s, FIELD_INT, .doc = "0: as fast as it goes"),
    SCRIPT(read_tokens_per_s, FIELD_INT, .doc = "of the prompt; 0: as fast as it goes"),
    SCRIPT(parallel, FIELD_INT, .max = MAX_SLOTS, .doc = "requests at a time; of vllm (16) and ollama (1)"),
};
static const struct record script_record = RECORD("script", struct script, script_fields);

struct use {
    char *rule; /* as JSON */
    int64_t fits;
};

struct script_file {
    const char *path;
    struct arena arena; /* every version; there are few */
    struct str text;    /* of the latest */
    const struct script *script;
    struct use *uses;
    size_t use_count, use_cap;
};

struct script_file *script_open(const char *path)
{
    static const struct script nothing;
    struct script_file *f = xcalloc(1, sizeof *f);
    f->path = path;
    f->script = &nothing;
    str_init(&f->text);
    return f;
}

void script_close(struct script_file *f)
{
    for (size_t i = 0; i < f->use_count; i++)
        free(f->uses[i].rule);
    free(f->uses);
    str_release(&f->text);
    arena_release(&f->arena);
    free(f);
}

static void give_up(const struct err *e)
{
    fprintf(stderr, "fake upstream: %s\n", e->text);
    exit(2);
}

const struct script *script_now(struct script_file *f)
{
    STR_LOCAL(text);
    struct err e;
    if (!f->path)
        return f->script;
    if (file_read_path(f->path, MAX_SCRIPT, &text, &e) < 0)
        give_up(&e);
    if (text.len == f->text.len && memcmp(text.data, f->text.data, text.len) == 0)
        return f->script;
    struct script *s = ARENA_NEW(&f->arena, struct script);
    if (text.len && yaml_read_record(f->path, text.data, text.len, &script_record, &f->arena, s, &e) < 0)
        give_up(&e);
    str_clear(&f->text);
    str_add_str(&f->text, &text);
    f->script = s;
    return s;
}

/* Counts a request that fits this rule, and says how many did before. */
static int64_t count_fit(struct script_file *f, const struct rule *rule)
{
    STR_LOCAL(text);
    json_t *json = record_write(&rule_record, rule);
    json_write(&text, json);
    json_decref(json);
    for (size_t i = 0; i < f->use_count; i++)
        if (streq(f->uses[i].rule, text.data))
            return f->uses[i].fits++;
    XGROW(f->uses, f->use_cap, f->use_count);
    f->uses[f->use_count++] = (struct use){ .rule = str_detach(&text), .fits = 1 };
    return 0;
}

static bool is_due(int64_t before, int64_t skip, int64_t times)
{
    return before >= skip && (!times || before < skip + times);
}

static bool fits(const struct rule *r, const char *path, const char *model, const char *body)
{
    return (!*r->on || streq(r->on, path)) && (!*r->model || streq(r->model, model)) && (!*r->has || strstr(body, r->has));
}

const struct rule *script_rule(struct script_file *f, const char *path, const char *model, const char *body)
{
    static const struct rule none = { .type = "", .body = "", .text = "", .reasoning = "", .finish = "" };
    const struct script *s = script_now(f);
    const struct rule *rules = s->rules.items;
    for (size_t i = 0; i < s->rules.count; i++)
        if (fits(&rules[i], path, model, body) &&
            ((!rules[i].skip && !rules[i].times) || is_due(count_fit(f, &rules[i]), rules[i].skip, rules[i].times)))
            return &rules[i];
    return &none;
}

const struct life *script_life(struct script_file *f, const char *model, int64_t start)
{
    static const struct life plain = { .says = "", .calls_itself = "" };
    const struct script *s = script_now(f);
    const struct life *lives = s->life.items;
    for (size_t i = 0; i < s->life.count; i++)
        if ((!*lives[i].model || streq(lives[i].model, model)) && is_due(start - 1, lives[i].skip, lives[i].times))
            return &lives[i];
    return &plain;
}
