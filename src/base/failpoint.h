/* failpoint.h - named points at which a test can end the process with SIGKILL.
 *
 * TANDEM_FAILPOINT="queue.leased" kills at the first pass, "queue.leased:3" at the third.
 * TANDEM_FAILPOINT_LIST=FILE appends the name of every point passed to FILE, which is how
 * tests/crash finds them.  Release builds (-Dfailpoints=false) contain nothing of this.
 *
 * Names are LAYER.POINT and constant strings.  Any thread.
 */
#ifndef TANDEM_FAILPOINT_H
#define TANDEM_FAILPOINT_H

#ifdef TANDEM_FAILPOINTS
void failpoint(const char *name);
#else
static inline void failpoint(const char *name) { (void)name; }
#endif

#endif
