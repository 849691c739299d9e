/* http/names.h - under which names a server may be asked, and by which web pages.
 *
 * The threat is a web page in the browser of somebody who can reach the server.  A page of another
 * origin sends its requests with an Origin, which is refused unless it was named.  A page whose own
 * name was made to lead to the server's address (DNS rebinding) is of the same origin, and sends
 * that name as Host: so a server answers only to its own names.  An address cannot be rebound, nor
 * can "localhost".
 * Sources: RFC 9110, 7.2 (Host) and 15.5.20 (421); RFC 6454 (Origin); WHATWG Fetch (CORS).
 *
 * Threads: pure functions.
 */
#ifndef TANDEM_HTTP_NAMES_H
#define TANDEM_HTTP_NAMES_H

#include <stdbool.h>

/* Lists are words with blanks between them; "*" among them: all. */

/* `host`: as the header has it, with or without a port.  An address, localhost and *.localhost are
 * always the server's own. */
bool host_is_ours(const char *host, const char *hosts);
/* Pages of the server itself ("http://" or "https://" and `host`, which may be NULL) are always allowed. */
bool origin_is_allowed(const char *origin, const char *host, const char *origins);

#endif
