/* web/office_api.h - the office of a home behind its socket.
 *
 *     POST /tandem/projects/{verb}   {"person", "settings", "api_key", "word", "wish": {...}} -> the answer
 *     POST /tandem/sittings          the same; a stream of server-sent events:
 *         joined  {"left_out"}: others were at it already; what was asked for and does not count
 *                 then, in lines, or ""
 *         moved   {"project", "ticket", "role", "step", "attempt", "begun"}
 *         text    the same with "text", a piece of an answer or of a test run's output
 *         ended   how the sitting ended
 *         failed  {"error": {"code", "message"}}
 *     GET  /tandem/settings          {"name": "value", ...}: what this process began with
 *     GET  /tandem/home              {"id", "pid"}: which home this is (home_identity), and whose
 *     GET  /tandem/sandbox           {"unprotected"}: why nothing protects the machine from the projects' code;
 *                                    "": something does
 *
 * The verbs are those of office.h, wishes and answers the records of wishes.h.  Who closes the
 * stream leaves the sitting.  When the server ends, the stream breaks off without "ended" or
 * "failed", and a wish that was not fulfilled is answered with the code "gone": what was at work is
 * as after any stop, and whoever has the home next may be asked the same, with the same "word".
 *
 * Threads: handlers run on the server's workers.
 */
#ifndef TANDEM_WEB_OFFICE_API_H
#define TANDEM_WEB_OFFICE_API_H

#include "http/server.h"
#include "office/office.h"

struct office_api {
    struct office *office;
    const struct settings *settings;
    const char *home_id;
    int64_t most_sittings;   /* at once; fewer than workers, so that short wishes always get through */
    atomic_llong sittings;   /* under way */
};

/* The table's context is a struct office_api. */
extern const struct http_route office_routes[];
extern const size_t office_route_count;

/* No event of a sitting is longer. */
enum { OFFICE_MAX_EVENT = 4 << 20 };

/* ---- what is sent ---- */

struct office_envelope {
    const char *person;
    struct texts settings;
    const char *api_key, *word;
    json_t *wish;
};
extern const struct record office_envelope_record;

/* A struct pulse (team.h), with what it is about. */
struct office_pulse {
    const char *project, *ticket, *role, *step;
    int64_t attempt;
    bool begun;
    const char *text;
};
extern const struct record office_pulse_record;

#endif
