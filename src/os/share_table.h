/* share_table.h - the table that tools/embed writes; for share.c alone. */
#ifndef TANDEM_SHARE_TABLE_H
#define TANDEM_SHARE_TABLE_H

#include <stddef.h>

struct share_file {
    const char *path;  /* below share/ */
    const char *bytes; /* a NUL follows */
    size_t len;
};

extern const struct share_file share_table[]; /* sorted by path */
extern const size_t share_table_count;

#endif
