/* propose.c - default routes, shown and made. */
#include "cli/propose.h"

#include "base/str.h"
#include "cli/models.h"
#include "cli/output.h"
#include "cli/server.h"
#include "model/propose.h"

static void print_proposal(struct session *s, FILE *out, const struct proposal *p)
{
    enum { COLUMNS = 4 };
    const char **cells = ARENA_ARRAY(&s->in->arena, const char *, (p->count + 1) * COLUMNS);
    const char *head[COLUMNS] = { "ROLE", "MODEL", "FALLBACK", "WHY" };
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < p->count; i++) {
        const struct route_entry *t = &p->routes[i];
        const char *row[COLUMNS] = { t->id, t->primary, *t->fallback ? t->fallback : "-", p->reasons[i] };
        memcpy(cells + (i + 1) * COLUMNS, row, sizeof row);
    }
    output_table(out, cells, COLUMNS, p->count + 1);
    if (p->heavy)
        fprintf(out, "%s is loaded on demand, answers one call at a time, and leaves after %lld idle seconds.\n", p->heavy->id,
                (long long)p->heavy->idle_s);
}

static int make(struct session *s, const struct proposal *p, struct err *e)
{
    struct model_entry heavy;
    struct registry change = { .routes = { p->routes, p->count } };
    if (p->heavy) {
        heavy = *p->heavy;
        change.models = (struct records){ &heavy, 1 };
    }
    return models_put(s, &change, e);
}

int routes_default(struct session *s, FILE *out, bool makes, struct err *e)
{
    struct registry r;
    struct proposal p;
    int code = registry_load(s->store, &s->in->arena, &r, e);
    if (code < 0)
        return code;
    routes_propose(&s->in->arena, &r, &p);
    if (!p.count && !r.models.count)
        return err_set(e, ERR_NOT_FOUND, "there is no model yet; `tandem model import FILE.gguf` takes one in");
    if (!p.count) {
        fprintf(out, "Every role that these models can serve has a route; `tandem model route` shows them.\n");
        return 0;
    }
    print_proposal(s, out, &p);
    if (makes)
        return make(s, &p, e);
    fprintf(out, "Nothing was changed; `tandem model route --default` makes these routes.\n");
    return 0;
}

/* ---- for a run ---- */

static int make_for_run(struct session *s, struct err *e)
{
    FILE *out = option_given(s->in, "json") ? stderr : s->in->out;
    fprintf(out, "No model was given and no route is set; these are the routes now (`tandem model route` changes them):\n");
    return routes_default(s, out, true, e);
}

static bool serves_team(const struct proposal *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (role_parse(p->routes[i].id) > ROLE_ENGINE)
            return true;
    return false;
}

int routes_default_for_run(struct invocation *in, bool *ret_made, struct err *e)
{
    struct session s;
    struct registry r;
    struct proposal p = { .count = 0 };
    *ret_made = false;
    int code = session_look(&s, in, NULL);
    if (code == 0)
        code = registry_load(s.store, &in->arena, &r, NULL);
    if (code == 0 && !r.routes.count)
        routes_propose(&in->arena, &r, &p);
    session_close(&s);
    if (!serves_team(&p))
        return 0;
    *ret_made = true;
    return session_with(in, session_open_or_ask, make_for_run, e);
}
