/* cli/session.h - a command's hold on a home: the store, the models, the team.
 *
 * Commands that only look open the home beside its writer (session_look); commands that
 * change something take its lock (session_open); those that work also get a team.
 */
#ifndef TANDEM_CLI_SESSION_H
#define TANDEM_CLI_SESSION_H

#include "cli/command.h"
#include "cli/term.h"
#include "model/manager.h"
#include "store/store.h"
#include "team/team.h"

struct session {
    struct invocation *in;
    const char *home;
    struct store *store;
    struct term term;
    struct team *team;                /* NULL until session_team */
    struct manager *manager;          /* NULL until session_manager (host.c) */
    struct model *models[16];         /* opened, each once */
    size_t model_count;
    struct model *by_role[ROLE_COUNT], *heavy[ROLE_COUNT];
    const char *served[ROLE_COUNT];   /* who serves it, by name in the registry (a model, or the role); NULL: an address */
    const char *server;               /* its socket, when a server has the home (server.h); NULL */
    bool may_write;
    const char *person;               /* once session_project was called: see there */
};

/* Options of commands that talk to models: --model, --record, --drift; --yes, --json. */
extern const char *const drift_choices[];
#define MODEL_OPTIONS                                                                             \
    { .name = "model", .letter = 'm', .argument = "[ROLE=]URL[#NAME]", .is_repeated = true,       \
      .doc = "the model for all roles, for one role (pm, architect, developer, tester), or to escalate to (heavy); " \
             "replay:DIR plays a recording" },                                                    \
    { .name = "record", .argument = "DIR", .kind = ARGUMENT_DIR,                                  \
      .doc = "keep every model call as a file below DIR" },                                      \
    { .name = "drift", .argument = "WHAT", .choices = drift_choices,                              \
      .doc = "when a prompt differs from the recorded one: say so at the end (without this), or stop" }
#define TALK_OPTIONS                                                                              \
    { .name = "yes", .letter = 'y', .doc = "accept spec and plan without asking" },               \
    { .name = "json", .doc = "print events as JSON, one a line, and a summary as the last" }

int session_look(struct session *s, struct invocation *in, struct err *e);
int session_open(struct session *s, struct invocation *in, struct err *e);
/* A whole command: opens the home by one of these, does `body`, and closes it. */
int session_with(struct invocation *in, int (*opens)(struct session *s, struct invocation *in, struct err *e),
                 int (*body)(struct session *s, struct err *e), struct err *e);
/* Whether roles can be served without --model. */
bool home_has_routes(struct invocation *in);
/* Opens the models that --model names (or else `remembered`, or else those that the routes of the
 * home name) and starts the team. */
int session_team(struct session *s, const struct texts *remembered, const struct team_watcher *w, struct err *e);
/* Asks the server of each of these models, within their patience, what it has, so that a wrong
 * name, address or key is told before anything is begun. */
int session_ask_models(struct session *s, struct err *e);
/* A team without models, for what a person does (resolve, release). */
int session_team_by_hand(struct session *s, struct err *e);
/* A team that only looks, for session_look. */
int session_team_look(struct session *s, struct err *e);
void session_close(struct session *s);

/* The inks of what is printed to in->out. */
const char *const *session_inks(const struct session *s);

/* The project an operand or --project names, or the home's only one, or the one last
 * created.  ERR_NOT_FOUND says what there is.  Where the session may write, `person` is from
 * then on who speaks: "Name <email>" as git has it in the project's repository, or the login
 * name. */
int session_project(struct session *s, const char *name, const char **ret_id, struct project *ret, struct err *e);

/* The login name, for what belongs to no project. */
const char *session_login(struct arena *a);

/* Hosts the models of the home in this process (host.c); once. */
int session_manager(struct session *s, struct err *e);
/* Time-outs and keys, as the settings have them. */
void model_options_from_settings(const struct settings *set, struct model_options *o);

/* From now on SIGINT and SIGTERM set session_interrupted and stop the team; session_team does it. */
void session_catch_signals(void);
/* Set by SIGINT and SIGTERM once session_catch_signals was called. */
extern atomic_bool session_interrupted;

#endif
