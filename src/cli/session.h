/* cli/session.h - a command's hold on a home: the store, the office, the models.
 *
 * Commands that only look open the home beside its writer (session_look).  Commands that change
 * something take its lock, or ask the process that has it (session_open_or_ask); what they say to
 * projects goes through the desk (desk.h) either way.
 */
#ifndef TANDEM_CLI_SESSION_H
#define TANDEM_CLI_SESSION_H

#include "cli/command.h"
#include "cli/term.h"
#include "model/manager.h"
#include "office/office.h"
#include "store/store.h"

struct session {
    struct invocation *in;
    const char *home;
    struct store *store;
    struct term term;
    struct office *office;            /* NULL until session_office */
    struct hosting *hosting;          /* NULL until session_host */
    struct house *house;              /* of `eyes`, when it is not the office's */
    struct team *eyes;                /* NULL until session_eyes */
    struct manager *manager;          /* NULL until session_manager (host.c) */
    const char *server;               /* its socket, when a server has the home; NULL */
    bool may_write, is_shared;        /* by session_open_shared */
    void (*called)(const struct manager_call *c, void *ctx); /* as of struct manager_options, with called_ctx; NULL: nobody */
    void *called_ctx;
    struct arena hosted;              /* for the manager, which another thread may ask for */
    const char *person;               /* once session_project was called: see there */
};

/* Options of commands that talk to models: --model, --record, --drift; --yes, --json (work.h). */
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
/* A whole command: opens the home by one of these, does `body`, and closes it.  Once more with whoever has the
 * home next when `body` says ERR_GONE. */
int session_with(struct invocation *in, int (*opens)(struct session *s, struct invocation *in, struct err *e),
                 int (*body)(struct session *s, struct err *e), struct err *e);
/* Whether roles can be served without --model. */
bool home_has_routes(struct invocation *in);
/* Opens the home to change it, or, when a server (or a command that is at work) has it, to look at
 * it with s->server set.  A process that has it and answers nobody is waited for as long as it lives, ten
 * minutes at most, and the person is told for whom; ERR_BUSY then. */
int session_open_or_ask(struct session *s, struct invocation *in, struct err *e);
/* The same for a command that may take long: others can speak to the home meanwhile. */
int session_open_shared(struct session *s, struct invocation *in, struct err *e);
/* So many processes that have the home may end, one after the other, before something is done. */
enum { SESSION_HOLDERS = 20 };
/* The same home once more, in the same way, when the process that had it has ended: ERR_GONE.  Nothing of the
 * session may be kept across it: the store is another one, the office, `eyes`. */
int session_open_again(struct session *s, struct err *e);
/* The office of the home, in this process; once.  Only where s->server is NULL. */
int session_office(struct session *s, struct err *e);
/* A team that looks at projects: at what is under approval, in conflict, to be released. */
int session_eyes(struct session *s, struct team **ret, struct err *e);
/* Says that the code of projects runs unprotected, where it does: in this process, or at the server. */
void session_warn_unprotected(struct session *s);
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

/* Hosts the models of the home in this process (host.c); once.  The second is for the office. */
int session_manager(struct session *s, struct err *e);
int session_manager_of(void *session, struct manager **ret, struct err *e);

/* From now on SIGINT and SIGTERM set session_interrupted; session_office and session_eyes do it. */
void session_catch_signals(void);
/* Set by SIGINT and SIGTERM once session_catch_signals was called. */
extern atomic_bool session_interrupted;

#endif
