/* cgroup.h - control groups for memory and processes, v1 and v2; inside src/os only.
 *
 * Each run gets a group of its own below ours.  Where none can be made (an ordinary user
 * without delegation), the sandbox falls back on rlimits.
 *
 * Threads: a pool has a lock of its own; a group belongs to one run at a time.
 */
#ifndef TANDEM_CGROUP_H
#define TANDEM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct cgroup_pool;
struct cgroup;
struct spawner;

/* `name` becomes the name of the directories.  ERR_UNAVAILABLE: neither controller can be used. */
int cgroup_pool_open(struct cgroup_pool **ret, const char *name, struct err *e);
/* Removes the directories.  NULL is allowed. */
void cgroup_pool_free(struct cgroup_pool *p);
/* Removes what a pool of that name left whose process died, killing what is still in it. */
void cgroup_remove_dead(const char *name);

bool cgroup_limits_memory(const struct cgroup_pool *p);
bool cgroup_limits_processes(const struct cgroup_pool *p);

/* An empty group with these limits. */
int cgroup_take(struct cgroup_pool *p, int64_t memory_bytes, int64_t processes, struct cgroup **ret, struct err *e);
/* How a child is born in it (spawn.h): by a thread that sits there (v1), into the directory
 * (v2), or both; NULL and 0 when not so. */
struct spawner *cgroup_spawner(const struct cgroup *c);
int cgroup_dir_fd(const struct cgroup *c);
/* Processes killed for memory since it was taken. */
int64_t cgroup_oom_kills(const struct cgroup *c);
void cgroup_give_back(struct cgroup_pool *p, struct cgroup *c);

#endif
