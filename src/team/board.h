/* board.h - a project's tickets and functionalities, for who looks at them again and again: the
 * workers before each task, the live view ten times a second.  A document is read again only
 * when it has changed (store_find_again).
 *
 * Threads: a board belongs to one at a time.
 */
#ifndef TANDEM_BOARD_H
#define TANDEM_BOARD_H

#include "store/store.h"

struct board {
    struct store_found tickets, functionalities; /* in plan order; until the next look */
    struct store *store;
    const char *project;
    struct store_kept *kept_tickets, *kept_functionalities;
};

/* Both are borrowed. */
void board_init(struct board *b, struct store *s, const char *project);
void board_release(struct board *b);
int board_look(struct board *b, struct err *e);

#endif
