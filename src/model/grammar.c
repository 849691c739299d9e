/* grammar.c - a record as a grammar.
 *
 * One rule for each record, and one for each of its members; a member that may be left out takes
 * its comma along.  Source: GBNF, grammars/README.md of llama.cpp.
 */
#include "model/grammar.h"

#include "base/json.h"
#include "base/record.h"
#include "base/str.h"

enum {
    MAX_COUNTED = 500, /* a repetition is written out by the server; beyond this it is not counted */
    MAX_LISTED = 100,  /* numbers of a range that are written one by one */
};

struct grammar {
    struct str *rules;
    int count; /* of rules with a number for a name */
};

static int write_record(struct grammar *g, const struct record *r);

/* ---- pieces ---- */

/* A text that stands in the answer as it is. */
static void add_literal(struct str *out, const char *text)
{
    str_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            str_add_char(out, '\\');
        str_add_char(out, *text);
    }
    str_add_char(out, '"');
}

/* The same of a JSON text. */
static void add_word(struct str *out, const char *word, const char *behind)
{
    STR_LOCAL(json);
    json_t *value = json_text(word, strlen(word));
    json_write(&json, value);
    str_add(&json, behind);
    add_literal(out, json.data);
    json_decref(value);
}

/* "{2,5}" of what stands before it. */
static void add_count(struct str *out, int64_t min, int64_t max)
{
    if (max > MAX_COUNTED || max <= 0)
        str_add(out, min > 0 ? "+" : "*");
    else
        str_addf(out, "{%lld,%lld}", (long long)min, (long long)max);
}

static void add_number(struct str *out, const struct field *f)
{
    bool ranged = f->max > f->min;
    if (!ranged || f->max - f->min >= MAX_LISTED) {
        str_add(out, ranged && f->min >= 0 ? "whole" : "(\"-\"? whole)");
        return;
    }
    str_add_char(out, '(');
    for (int64_t n = f->min; n <= f->max; n++)
        str_addf(out, "%s\"%lld\"", n > f->min ? " | " : "", (long long)n);
    str_add_char(out, ')');
}

static void add_text(struct str *out, const struct field *f)
{
    str_add(out, "\"\\\"\" char");
    add_count(out, f->required && f->min < 1 ? 1 : f->min, f->max);
    str_add(out, " \"\\\"\"");
}

/* `item`: what stands in the list, as one piece. */
static void add_list(struct str *out, const struct field *f, const char *item)
{
    int64_t min = f->min > 0 ? f->min - 1 : 0;
    str_addf(out, "\"[\" %s%s", f->min > 0 ? "" : "(", item);
    if (f->max != 1) {
        str_addf(out, " (\",\" %s)", item);
        if (min > 0 && (f->max <= 0 || f->max > MAX_COUNTED))
            str_addf(out, "{%lld,}", (long long)min);
        else
            add_count(out, min, f->max - 1);
    }
    str_addf(out, "%s \"]\"", f->min > 0 ? "" : ")?");
}

static void add_choices(struct str *out, const char *const *choices)
{
    str_add_char(out, '(');
    for (size_t i = 0; choices[i]; i++) {
        str_add(out, i ? " | " : "");
        add_word(out, choices[i], "");
    }
    str_add_char(out, ')');
}

/* ---- members ---- */

static void add_value(struct grammar *g, struct str *out, const struct field *f)
{
    char item[32];
    switch (f->kind) {
    case FIELD_TEXT: add_text(out, f); break;
    case FIELD_INT: add_number(out, f); break;
    case FIELD_REAL: str_add(out, "number"); break;
    case FIELD_BOOL: str_add(out, "(\"true\" | \"false\")"); break;
    case FIELD_ENUM: add_choices(out, f->choices); break;
    case FIELD_TEXTS: add_list(out, f, "text"); break;
    case FIELD_JSON: str_add(out, "some"); break;
    case FIELD_RECORD: str_addf(out, "r%d", write_record(g, f->of)); break;
    case FIELD_RECORDS:
        snprintf(item, sizeof item, "r%d", write_record(g, f->of));
        add_list(out, f, item);
        break;
    }
}

/* The rule of a member, name and value. */
static int write_member(struct grammar *g, const struct field *f)
{
    STR_LOCAL(rule);
    add_word(&rule, f->name, ":");
    str_add_char(&rule, ' ');
    add_value(g, &rule, f);
    str_addf(g->rules, "r%d ::= %s\n", g->count, rule.data);
    return g->count++;
}

/* All members from `first` on, of which it is one that is there. */
static void add_members(struct str *out, const struct record *r, const int *members, size_t first)
{
    str_addf(out, "r%d", members[first]);
    for (size_t i = first + 1; i < r->field_count; i++)
        str_addf(out, r->fields[i].required ? " \",\" r%d" : " (\",\" r%d)?", members[i]);
}

static int write_record(struct grammar *g, const struct record *r)
{
    STR_LOCAL(rule);
    int members[64];
    bool may_be_empty = true;
    size_t count = r->field_count < 64 ? r->field_count : 64; /* none has that many */
    for (size_t i = 0; i < count; i++)
        members[i] = write_member(g, &r->fields[i]);
    str_add(&rule, "\"{\" (");
    for (size_t i = 0; i < count && may_be_empty; i++) { /* which one is the first that is there? */
        str_add(&rule, i ? " | " : "");
        add_members(&rule, r, members, i);
        may_be_empty = !r->fields[i].required;
    }
    str_addf(&rule, ")%s \"}\"", may_be_empty ? "?" : "");
    str_addf(g->rules, "r%d ::= %s\n", g->count, rule.data);
    return g->count++;
}

void grammar_write(struct str *out, const struct record *r)
{
    STR_LOCAL(rules);
    struct grammar g = { .rules = &rules };
    int root = write_record(&g, r);
    str_addf(out, "root ::= r%d\n", root);
    str_add_str(out, &rules);
    str_add(out, "char ::= [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4})\n"
                 "text ::= \"\\\"\" char* \"\\\"\"\n"
                 "whole ::= \"0\" | [1-9] [0-9]{0,14}\n"
                 "number ::= \"-\"? whole (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?\n"
                 "some ::= \"true\" | \"false\" | number | text | \"[\" (value (\",\" value)*)? \"]\" | "
                 "\"{\" (text \":\" value (\",\" text \":\" value)*)? \"}\"\n"
                 "value ::= \"null\" | some\n");
}
