/* tree_limit.h - how large a tree may be that is worked on (settings tree_files, tree_mib). */
#ifndef TANDEM_TREE_LIMIT_H
#define TANDEM_TREE_LIMIT_H

#include "team/team.h"

/* ERR_LIMIT says which limit the commit or tree is above.  Looked at where trees come from:
 * when a repository is taken over, with each answer and each merge; what a test run adds is
 * bounded by the sandbox (disk_mib). */
int tree_within(struct repo *r, const struct oid *commit_or_tree, const struct team_limits *limits, struct err *e);

#endif
