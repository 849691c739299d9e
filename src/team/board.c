/* board.c - project_tickets and project_functionalities, with a memory. */
#include "team/board.h"

#include "team/docs.h"

void board_init(struct board *b, struct store *s, const char *project)
{
    *b = (struct board){ .store = s, .project = project, .kept_tickets = store_kept_new(), .kept_functionalities = store_kept_new() };
}

void board_release(struct board *b)
{
    store_kept_free(b->kept_tickets);
    store_kept_free(b->kept_functionalities);
    *b = (struct board){ 0 };
}

int board_look(struct board *b, struct err *e)
{
    struct store_query q = { .where = { { "project", b->project, 0 } }, .where_count = 1, .order_by = "number" };
    int r = store_find_again(b->store, b->kept_tickets, &ticket_type, &q, &b->tickets, e);
    return r < 0 ? r : store_find_again(b->store, b->kept_functionalities, &functionality_type, &q, &b->functionalities, e);
}
