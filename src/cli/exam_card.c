/* exam_card.c - a report card as a person reads it. */
#include "cli/exam_card.h"

#include "base/clock.h"
#include "base/str.h"
#include "cli/live.h"
#include "cli/text.h"

enum { BAR = 20, PERCENT = 100, SHOWN_FAULTS = 6, LABEL = 16, FAULT_COLUMNS = 96 };

static void label(FILE *out, const char *text)
{
    fprintf(out, "%-*s ", LABEL, text);
}

static void bar(const struct session *s, int64_t part, int64_t whole)
{
    const char *full = s->term.unicode ? "\u2501" : "#", *rest = s->term.unicode ? "\u2500" : "-";
    int64_t filled = whole > 0 ? part * BAR / whole : 0;
    fprintf(s->in->out, "%s", session_inks(s)[INK_ACCENT]);
    for (int64_t i = 0; i < BAR; i++) {
        if (i == filled)
            fprintf(s->in->out, "%s%s", session_inks(s)[INK_PLAIN], session_inks(s)[INK_QUIET]);
        fprintf(s->in->out, "%s", i < filled ? full : rest);
    }
    fprintf(s->in->out, "%s  ", session_inks(s)[INK_PLAIN]);
}

static void percent_row(const struct session *s, const char *name, int64_t percent, const char *note)
{
    label(s->in->out, name);
    if (percent == EXAM_UNKNOWN) {
        fprintf(s->in->out, "not measured\n");
        return;
    }
    bar(s, percent, PERCENT);
    fprintf(s->in->out, "%3lld %%%s%s\n", (long long)percent, *note ? "  " : "", note);
}

static void context_row(const struct session *s, const struct exam_card *c)
{
    label(s->in->out, "Usable context");
    if (c->usable_context == EXAM_UNKNOWN) {
        fprintf(s->in->out, "not measured (of %lld tokens)\n", (long long)c->context);
        return;
    }
    const struct exam_needle *last = c->needles.count ? (const struct exam_needle *)c->needles.items + c->needles.count - 1 : NULL;
    bool open = last && c->usable_context == last->tokens && c->usable_context < c->context;
    bar(s, c->usable_context, c->context);
    fprintf(s->in->out, "%s%lld of %lld tokens%s\n", open ? "at least " : "", (long long)c->usable_context, (long long)c->context,
            open ? "; longer prompts were left out" : "");
}

/* "118 yes yes no" for each length. */
static void needle_rows(const struct session *s, const struct exam_card *c)
{
    const struct exam_needle *n = c->needles.items;
    FILE *out = s->in->out;
    for (size_t i = 0; i < c->needles.count; i++) {
        if (!i || n[i].tokens != n[i - 1].tokens) {
            label(out, i ? "" : "  facts found");
            fprintf(out, "of %lld tokens:", (long long)n[i].tokens);
        }
        fprintf(out, " %s at %lld %%", n[i].found ? "yes" : "no", (long long)n[i].depth);
        fprintf(out, "%s", i + 1 < c->needles.count && n[i + 1].tokens == n[i].tokens ? "," : "\n");
    }
}

static void speed_rows(const struct session *s, const struct exam_card *c)
{
    const struct exam_speed *v = c->speeds.items;
    FILE *out = s->in->out;
    for (size_t i = 0; i < c->speeds.count; i++) {
        label(out, i ? "" : "Speed");
        fprintf(out, "%lld call%s: reads %.0f, writes %.1f tokens a second\n", (long long)v[i].calls, v[i].calls == 1 ? "" : "s at once", v[i].prompt,
                v[i].generation);
    }
}

static void cost_rows(const struct session *s, const struct exam_card *c)
{
    FILE *out = s->in->out;
    STR_LOCAL(text);
    if (c->load_ms || c->memory_mib) {
        label(out, "Loading");
        fprintf(out, "%.1f s from nothing; %lld MiB of memory", (double)c->load_ms / 1000, (long long)c->memory_mib);
        fprintf(out, c->vram_mib ? ", %lld MiB on the GPU\n" : "\n", (long long)c->vram_mib);
    }
    live_count(c->prompt_tokens, &text);
    str_add(&text, " tokens in, ");
    live_count(c->completion_tokens, &text);
    str_add(&text, " out, ");
    live_duration(c->took_ms, &text);
    label(out, "The exam cost");
    fprintf(out, "%s\n", text.data);
}

static void role_rows(const struct session *s, const struct exam_card *c)
{
    FILE *out = s->in->out;
    for (const struct exam_role *role = exam_roles; role->role; role++) {
        STR_LOCAL(lacks);
        exam_role_lacks(c, role, &lacks);
        label(out, role == exam_roles ? "Roles" : "");
        fprintf(out, "%-18s%s%s\n", role->role, lacks.len ? "no: " : "yes", lacks.data);
    }
}

static void fault_rows(const struct session *s, const struct exam_card *c)
{
    FILE *out = s->in->out;
    for (size_t i = 0; i < c->faults.count && i < SHOWN_FAULTS; i++) {
        STR_LOCAL(text);
        text_fit(&text, c->faults.items[i], strlen(c->faults.items[i]), FAULT_COLUMNS, term_ellipsis(s->term.unicode));
        label(out, i ? "" : "What failed");
        fprintf(out, "%s\n", text.data);
    }
    if (c->faults.count > SHOWN_FAULTS) {
        label(out, "");
        fprintf(out, "and %zu more (--json has all)\n", c->faults.count - SHOWN_FAULTS);
    }
}

static void next_rows(const struct session *s, const struct exam_card *c, const struct model_entry *entry)
{
    FILE *out = s->in->out;
    fprintf(out, "\n");
    for (const struct exam_role *role = exam_roles; role->role; role++) {
        STR_LOCAL(lacks);
        exam_role_lacks(c, role, &lacks);
        if (lacks.len)
            continue;
        fprintf(out, "`tandem model route %s %s` puts it to work.\n", role->role, c->model);
        break;
    }
    if (exam_allows_blocks(c) && entry->edit_format != EDIT_BLOCKS)
        fprintf(out, "`tandem model set %s edit_format=blocks` lets it change files by blocks, which spares tokens.\n", c->model);
    if (!exam_allows_blocks(c) && entry->edit_format == EDIT_BLOCKS && c->blocks != EXAM_UNKNOWN)
        fprintf(out, "Its entry says edit_format: blocks; it will be asked for whole files all the same.\n");
    if (c->quick)
        fprintf(out, "`tandem model exam %s` without --quick asks three times as much.\n", c->model);
}

void exam_card_print(const struct session *s, const struct exam_card *c, const struct model_entry *entry)
{
    FILE *out = s->in->out;
    char time[32];
    clock_format(c->taken_ms, time);
    fprintf(out, "%sReport card of %s, version %lld%s%s (%.10s)\n\n", session_inks(s)[INK_STRONG], c->model, (long long)c->version,
            c->quick ? ", a quick one" : "", session_inks(s)[INK_PLAIN], time);
    context_row(s, c);
    needle_rows(s, c);
    percent_row(s, "Whole files", c->files, "");
    percent_row(s, "Edit blocks", c->blocks, c->blocks == EXAM_UNKNOWN || exam_allows_blocks(c) ? "" : "so it is asked for whole files");
    percent_row(s, "Schema", c->schema, "");
    percent_row(s, "Steadiness", c->steady, "");
    speed_rows(s, c);
    cost_rows(s, c);
    role_rows(s, c);
    fault_rows(s, c);
    next_rows(s, c, entry);
}
