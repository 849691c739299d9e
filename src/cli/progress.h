/* cli/progress.h - shows a running team: live on a terminal, as plain lines, or as JSON.
 *
 * A thread of its own draws; the workers only drop texts into small buffers.
 */
#ifndef TANDEM_CLI_PROGRESS_H
#define TANDEM_CLI_PROGRESS_H

#include "cli/session.h"

enum progress_style { PROGRESS_LIVE, PROGRESS_PLAIN, PROGRESS_JSON };

struct progress;

struct progress *progress_new(struct session *s, enum progress_style style);
/* What the team reports to. */
struct team_watcher progress_watcher(struct progress *p);
/* Begins to show a project, from the event after `after_seq`. */
void progress_begin(struct progress *p, const char *project, int64_t after_seq);
/* Lines for the person, from any thread; not among JSON.  Of several calls at once only the last. */
void progress_say(struct progress *p, const char *lines);
/* Shows what is left and stops; `keep`: the last picture stays on the screen. */
void progress_end(struct progress *p, bool keep);
void progress_free(struct progress *p);

#endif
