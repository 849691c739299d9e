/* cli/hosting.h - a command at work lets others in: on the home's socket it is a server for their
 * wishes, as `tandem serve` is.
 */
#ifndef TANDEM_CLI_HOSTING_H
#define TANDEM_CLI_HOSTING_H

#include "cli/session.h"
#include "http/server.h"
#include "web/call_log.h"
#include "web/gateway.h"
#include "web/home_api.h"
#include "web/office_api.h"

/* What every process with a home serves on its socket: models, the home's entries, projects. */
enum { HOSTING_TABLES = 3 };
struct hosting_parts {
    struct keyring *keys;
    struct call_log *log;
    struct gateway gateway;
    struct home_api home;
    struct office_api office;
};
/* For a session with an office; fills HOSTING_TABLES of them.  Calls of the gateway are in the log
 * then.  Close it in any case, after the server. */
int hosting_parts_open(struct hosting_parts *p, struct session *s, struct http_table *tables, struct err *e);
void hosting_parts_close(struct hosting_parts *p);
/* The settings http_*. */
void hosting_limits(const struct settings *set, struct http_limits *ret);
/* Opens the home's socket, and says in the home where it is. */
int hosting_listen(struct session *s, struct http_server *server, const char **ret_socket, struct err *e);

struct hosting;
/* Lets others in, for a session that has taken the lock and has an office; once.  Where that cannot be
 * done, the person is told why, and the command works alone. */
void session_host(struct session *s);
/* Who is at work through it is broken off, and looks for the home again. */
void hosting_close(struct hosting *h);

#endif
