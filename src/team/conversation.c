/* conversation.c - turns in, messages out.
 *
 * The turns' texts are blobs; a conversation of n turns costs its length, not its square.
 */
#include "team/conversation.h"

#include "base/utf8.h"

/* A chat template puts marks around every message. */
enum { TURN_OVERHEAD = 8 };

/* What stands in the place of a masked turn, in the order in which kinds are masked. */
static const struct { enum turn_kind kind; const char *text; } stand_ins[] = {
    { TURN_OBSERVATION, "(The engine's report on an earlier attempt is left out here.)" },
    { TURN_ANSWER, "(An earlier answer is left out here.)" },
    { TURN_REQUEST, "(An earlier request is left out here.)" },
};

static struct turn *turn_at(const struct conversation_use *c, size_t i)
{
    return (struct turn *)c->doc.turns.items + i;
}

static int load_texts(struct step *s, struct conversation_use *c, struct err *e)
{
    size_t count = c->doc.turns.count;
    c->text_cap = count;
    c->texts = ARENA_ARRAY(s->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        int r = store_blob(s->team->store, s->arena, turn_at(c, i)->body, &c->texts[i], &len, e);
        if (r < 0)
            return err_prefix(e, "conversation %s", c->id);
    }
    return 0;
}

int conversation_open(struct step *s, enum role role, struct conversation_use **ret, struct err *e)
{
    const char *about = s->ticket_id ? s->ticket_id : s->functionality_id ? s->functionality_id : s->project_id;
    const char *id = arena_printf(s->arena, "%s/%s", about, role_names[role]);
    for (struct conversation_use *c = s->conversations; c; c = c->next) {
        if (streq(c->id, id)) {
            *ret = c;
            return 0;
        }
    }
    struct conversation_use *c = ARENA_NEW(s->arena, struct conversation_use);
    c->id = id;
    int r = store_get(s->team->store, s->arena, &conversation_type, id, &c->doc, &c->version, e);
    if (r == ERR_NOT_FOUND) {
        c->doc = (struct conversation){ .project = s->project_id, .ticket = s->task.ticket,
                                        .role = role_names[role], .prompt = "" };
        c->version = 0;
    } else if (r < 0) {
        return r;
    }
    r = load_texts(s, c, e);
    if (r < 0)
        return r;
    c->next = s->conversations;
    s->conversations = c;
    *ret = c;
    return 0;
}

void conversation_add(struct step *s, struct conversation_use *c, enum turn_kind kind, const char *text)
{
    size_t len = strlen(text);
    if (!len)
        return;
    size_t n = c->doc.turns.count;
    struct turn *turns = ARENA_ARRAY(s->arena, struct turn, n + 1);
    const char **texts = ARENA_ARRAY(s->arena, const char *, n + 1);
    if (n) {
        memcpy(turns, c->doc.turns.items, n * sizeof *turns);
        memcpy(texts, c->texts, n * sizeof *texts);
    }
    if (utf8_valid(text, len, NULL)) {
        text = arena_strndup(s->arena, text, len); /* the batch borrows it */
    } else { /* files and diffs may hold anything; a request is JSON */
        char *mended = arena_alloc(s->arena, 3 * len + 1);
        len = utf8_repair(mended, text, len);
        text = mended;
    }
    struct digest d = batch_blob(s->batch, text, len);
    turns[n] = (struct turn){ (int)kind, arena_strdup(s->arena, d.hex), tokens_estimate(text, len) };
    texts[n] = text;
    c->doc.turns = (struct records){ turns, n + 1 };
    c->texts = texts;
    c->changed = true;
}

void conversation_restart(struct conversation_use *c)
{
    c->doc.turns = (struct records){ NULL, 0 };
    c->doc.prompt = "";
    c->doc.generation++;
    c->changed = true;
}

bool conversation_empty(const struct conversation_use *c)
{
    return c->doc.turns.count == 0;
}

bool conversation_answered(const struct conversation_use *c)
{
    return c->doc.turns.count && turn_at(c, c->doc.turns.count - 1)->kind == TURN_ANSWER;
}

void conversation_save(struct step *s, struct conversation_use *c)
{
    if (!c->changed)
        return;
    if (c->version)
        batch_update(s->batch, &conversation_type, c->id, c->version, &c->doc);
    else
        batch_insert(s->batch, &conversation_type, c->id, &c->doc);
    c->version++;
    c->changed = false;
}

/* ---- messages ---- */

static enum chat_role side_of(int kind)
{
    return kind == TURN_SYSTEM ? CHAT_SYSTEM : kind == TURN_ANSWER ? CHAT_ASSISTANT : CHAT_USER;
}

const struct conversation_room conversation_room_for_all = { .context_tokens = INT64_MAX };

static const char *stand_in_for(int kind)
{
    size_t i = 0;
    while ((int)stand_ins[i].kind != kind)
        i++;
    return stand_ins[i].text;
}

/* Marks turns of a kind to be masked, oldest first, until `goal` is reached; the last two
 * turns stay. */
static int64_t mask(const struct conversation_use *c, bool *masked, int kind, int64_t total, int64_t goal)
{
    const char *text = stand_in_for(kind);
    int64_t left = tokens_estimate(text, strlen(text));
    for (size_t i = 0; i + 2 < c->doc.turns.count && total > goal; i++) {
        if (turn_at(c, i)->kind != kind || turn_at(c, i)->tokens <= left)
            continue;
        masked[i] = true;
        total -= turn_at(c, i)->tokens - left;
    }
    return total;
}

/* Marks what must be left out; ERR_LIMIT when that does not suffice. */
static int mask_all(const struct conversation_use *c, bool *masked, const struct conversation_room *room,
                    bool only_observations, struct err *e)
{
    int64_t budget = room->context_tokens - room->answer_tokens;
    if (budget <= 0)
        return err_set(e, ERR_LIMIT,
                       "the model's context of %lld tokens has no room for a prompt beside an answer of %lld: "
                       "set context_tokens higher or answer_tokens lower",
                       (long long)room->context_tokens, (long long)room->answer_tokens);
    int64_t total = TURN_OVERHEAD, step = budget / 4 + 1;
    for (size_t i = 0; i < c->doc.turns.count; i++)
        total += turn_at(c, i)->tokens + TURN_OVERHEAD;
    if (total <= budget)
        return 0;
    int64_t goal = total - ((total - budget) / step + 1) * step;
    size_t kinds = only_observations ? 1 : sizeof stand_ins / sizeof *stand_ins;
    for (size_t i = 0; i < kinds && total > budget; i++)
        total = mask(c, masked, (int)stand_ins[i].kind, total, goal);
    if (total <= budget)
        return 0;
    return err_set(e, ERR_LIMIT,
                   "the prompt needs about %lld tokens and the model's context of %lld (context_tokens) less %lld for "
                   "the answer (answer_tokens) leaves %lld: use a model with a larger context, or make the ticket or spec smaller",
                   (long long)total, (long long)room->context_tokens, (long long)room->answer_tokens, (long long)budget);
}

int conversation_messages(struct arena *a, const struct conversation_use *c, const struct conversation_room *room,
                          bool only_observations, struct chat_message **ret, size_t *ret_count, struct err *e)
{
    size_t count = c->doc.turns.count;
    bool *masked = ARENA_ARRAY(a, bool, count);
    int r = mask_all(c, masked, room, only_observations, e);
    if (r < 0)
        return r;
    struct chat_message *messages = ARENA_ARRAY(a, struct chat_message, count);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        int kind = turn_at(c, i)->kind;
        const char *text = masked[i] ? stand_in_for(kind) : c->texts[i];
        if (n && messages[n - 1].role == side_of(kind))
            messages[n - 1].text = arena_printf(a, "%s\n\n%s", messages[n - 1].text, text);
        else
            messages[n++] = (struct chat_message){ side_of(kind), text };
    }
    *ret = messages;
    *ret_count = n;
    return 0;
}

void messages_write(struct str *out, const struct chat_message *messages, size_t count)
{
    static const char *const names[] = { "system", "user", "assistant" };
    for (size_t i = 0; i < count; i++)
        str_addf(out, "<<%s>>\n%s\n", names[messages[i].role], messages[i].text);
}
