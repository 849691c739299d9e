/* cli/hosting.h - a command at work lets others in: on the home's socket it is a server for their
 * wishes, as `tandem serve` is.
 */
#ifndef TANDEM_CLI_HOSTING_H
#define TANDEM_CLI_HOSTING_H

#include "cli/session.h"
#include "http/server.h"
#include "web/home_api.h"
#include "web/office_api.h"

/* The tables that every process with a home serves on its socket, and their contexts. */
enum { HOSTING_TABLES = 2 };
struct hosting_tables {
    struct home_api home;
    struct office_api office;
};
/* For a session with an office; fills HOSTING_TABLES of them.  `keys`: of the door for other programs;
 * NULL where there is none. */
void hosting_fill(struct session *s, struct keyring *keys, struct hosting_tables *t, struct http_table *tables);

struct hosting;
/* Opens the home's socket, for a session that has taken the lock; once.  Where that cannot be done,
 * a line of the log says why, and the command works alone. */
void session_host(struct session *s);
/* Who is at work through it is broken off, and looks for the home again. */
void hosting_close(struct hosting *h);

#endif
