/* commit.c - intent, witness, commit, ref. */
#include "team/commit.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/utf8.h"
#include "team/evidence.h"

static const char *writer_of(const struct step *s)
{
    return role_names[s->writer == ROLE_ENGINE ? s->role : s->writer];
}

static const char *trailers(struct step *s)
{
    STR_LOCAL(t);
    if (s->ticket_id)
        str_addf(&t, "Ticket: T-%lld\n", (long long)s->ticket.number);
    if (s->functionality_id)
        str_addf(&t, "Functionality: F-%lld\n", (long long)s->functionality.number);
    str_addf(&t, "Role: %s\n", s->person ? "person" : writer_of(s));
    if (s->answered_by)
        str_addf(&t, "Model: %s\n", s->answered_by);
    if (*s->project.person)
        str_addf(&t, "On-behalf-of: %s\n", s->project.person);
    return arena_strndup(s->arena, t.data, t.len);
}

/* "Red: text" on one line of at most 72 bytes, and the whole text when it was cut. */
static const char *first_lines(struct step *s, const char *verb, const char *text)
{
    STR_LOCAL(line);
    str_addf(&line, "%s%s", verb, *verb ? ": " : "");
    size_t start = line.len, len = strcspn(text, "\n"), room = 72 - start;
    if (len <= room && !text[len])
        return arena_printf(s->arena, "%s%s", line.data, text);
    if (len > room) {
        len = utf8_floor(text, room - 3);
        while (len > room / 2 && text[len] != ' ')
            len--;
        len = utf8_floor(text, len);
        return arena_printf(s->arena, "%s%.*s...\n\n%s", line.data, (int)len, text, text);
    }
    return arena_printf(s->arena, "%s%.*s\n\n%s", line.data, (int)len, text, text + len + strspn(text + len, "\n"));
}

struct commit_wish commit_on_ticket(struct step *s, const char *tree)
{
    return (struct commit_wish){
        .ref = arena_printf(s->arena, "refs/heads/%s", s->ticket.branch), .expected = s->ticket.head, .tree = tree,
        .parent = s->ticket.head, .second_parent = "", .verb = "",
    };
}

int commit_intend(struct step *s, const struct commit_wish *w, struct err *e)
{
    struct intent intent = {
        .project = s->project_id, .ref = w->ref, .expected = w->expected, .tree = w->tree,
        .parent = w->parent, .second_parent = w->second_parent,
        .message = arena_printf(s->arena, "%s\n\n%s", first_lines(s, w->verb, w->text), trailers(s)),
        .role = writer_of(s), .author = s->person ? s->person : "", .time_s = clock_wall_ms() / 1000, .commit = "",
    };
    json_put_text(w->payload, "task", s->task_id);
    json_put_text(w->payload, "tree", w->tree);
    batch_insert(s->batch, &intent_type, s->task_id, &intent);
    /* The role wrote it; that it holds is the engine's word. */
    batch_event(s->batch, &(struct event){ .project = s->project_id, .ticket = s->task.ticket,
                                           .actor = s->person ? s->person : role_names[ROLE_ENGINE], .kind = w->event_kind,
                                           .on_behalf = s->task_id, .payload_json = json_keep(s->arena, w->payload) });
    int r = step_save(s, e);
    failpoint("commit.intended");
    return r;
}

static int load_intent(struct step *s, struct intent *ret, int64_t *ret_version, struct err *e)
{
    return store_get(s->team->store, s->arena, &intent_type, s->task_id, ret, ret_version, e);
}

bool commit_pending(struct step *s)
{
    struct intent intent;
    return load_intent(s, &intent, NULL, NULL) == 0;
}

/* The event that brought the intent: the last of the task's that names its tree. */
static int witness_hash(struct step *s, const struct intent *intent, const char **ret, struct err *e)
{
    struct event *events;
    size_t count;
    int64_t after = 0;
    const char *hash = NULL;
    do {
        int r = store_events(s->team->store, s->arena, after, s->project_id, s->task.ticket, NULL, 1000,
                             &events, &count, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            after = events[i].seq;
            if (!events[i].on_behalf || !streq(events[i].on_behalf, s->task_id) || !*events[i].payload)
                continue;
            const char *text;
            size_t len;
            json_t *payload;
            if (store_blob(s->team->store, s->arena, events[i].payload, &text, &len, e) == 0 &&
                json_parse(s->arena, text, len, &payload, e) == 0 &&
                streq(json_text_of(payload, "tree", ""), intent->tree))
                hash = events[i].hash;
        }
    } while (count == 1000);
    if (!hash)
        return err_set(e, ERR_CORRUPT, "no event witnesses the tree %s of %s", intent->tree, s->task_id);
    *ret = hash;
    return 0;
}

/* "Name <email>", or a name alone; the role's for what a person did not write. */
static void author_of(struct step *s, const struct intent *intent, const char **ret_name, const char **ret_email)
{
    const char *open = strchr(intent->author, '<'), *close = open ? strchr(open, '>') : NULL;
    if (!*intent->author) {
        *ret_name = arena_printf(s->arena, "Tandem %c%s", intent->role[0] - 'a' + 'A', intent->role + 1);
        *ret_email = arena_printf(s->arena, "%s@tandem.invalid", intent->role);
    } else if (close && open > intent->author + 1) {
        *ret_name = arena_strndup(s->arena, intent->author, (size_t)(open - 1 - intent->author));
        *ret_email = arena_strndup(s->arena, open + 1, (size_t)(close - open - 1));
    } else {
        *ret_name = intent->author;
        *ret_email = "person@tandem.invalid";
    }
}

int commit_make(struct step *s, const char **ret_commit, struct err *e)
{
    struct intent intent;
    int64_t version;
    const char *hash = "";
    int r = load_intent(s, &intent, &version, e);
    if (r == 0)
        r = witness_hash(s, &intent, &hash, e);
    if (r < 0)
        return r;
    const char *name, *email;
    author_of(s, &intent, &name, &email);
    struct commit_intent c = {
        .tree = oid_of(intent.tree), .parents = { oid_of(intent.parent), oid_of(intent.second_parent) },
        .message = arena_printf(s->arena, "%sEvidence: %s\n", intent.message, hash),
        .author_name = name, .author_email = email,
        .committer_name = "Tandem", .committer_email = "engine@tandem.invalid",
        .time_s = intent.time_s,
    };
    struct oid commit, expected = oid_of(intent.expected);
    r = repo_commit(s->site->repo, &c, &commit, e);
    failpoint("commit.made");
    if (r == 0)
        r = repo_ref_move(s->site->repo, intent.ref, &expected, &commit, e);
    failpoint("commit.ref-moved");
    if (r < 0)
        return r;
    intent.commit = arena_strdup(s->arena, commit.hex);
    batch_update(s->batch, &intent_type, s->task_id, version, &intent);
    *ret_commit = intent.commit;
    return 0;
}

int commit_to_ticket(struct step *s, const char *event_kind, const char **ret_commit, struct err *e)
{
    int r = commit_make(s, ret_commit, e);
    if (r == 0)
        r = ticket_note_files(s, s->ticket.head, *ret_commit, e);
    if (r < 0)
        return r;
    s->ticket.head = *ret_commit;
    s->ticket_changed = true;
    step_event(s, event_kind, NULL);
    s->end = STEP_NEXT;
    return 0;
}

int commit_to_criterion(struct step *s, size_t index, enum criterion_state state, const char *event_kind, struct err *e)
{
    const char *commit;
    struct evidence ev;
    int r = commit_to_ticket(s, event_kind, &commit, e);
    if (r == 0)
        r = evidence_get(s, index, &ev, e);
    if (r < 0)
        return r;
    if (state == CRITERION_RED)
        ev.red_commit = commit;
    else
        ev.green_commit = commit;
    ticket_criterion(&s->ticket, index)->state = (int)state;
    return evidence_put(s, index, &ev, e);
}
