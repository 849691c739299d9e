/* web/health.h - for those who watch the server: /healthz, /readyz, /metrics.
 *
 * Threads: handlers run on the server's workers.
 */
#ifndef TANDEM_WEB_HEALTH_H
#define TANDEM_WEB_HEALTH_H

#include "http/server.h"
#include "model/manager.h"
#include "web/gateway.h"

#include <pthread.h>

enum { HEALTH_BUCKETS = 12, HEALTH_MODELS = 64, HEALTH_KEYS = 64 };

/* Who asked: another program, through the gateway; or the team and the commands of the home. */
enum health_caller { HEALTH_PROGRAM, HEALTH_TEAM, HEALTH_CALLERS };

/* Counts of one model's calls since the server began. */
struct health_model {
    char model[104];
    enum health_caller caller;
    uint64_t calls, failed, cancelled;
    uint64_t prompt_tokens, cached_tokens, completion_tokens;
    struct health_histogram {
        uint64_t buckets[HEALTH_BUCKETS]; /* not cumulated */
        uint64_t count;
        double sum_s;
    } first_token, total, queue;
};

struct health {
    struct manager *manager;
    struct http_server *server; /* set when it is there */
    struct keyring *keys;       /* likewise */
    pthread_mutex_t lock;       /* guards what follows */
    struct health_model models[HEALTH_MODELS * HEALTH_CALLERS]; /* further ones are counted with the last */
    size_t model_count;
};

void health_init(struct health *h, struct manager *m);
void health_release(struct health *h);
/* Counts a call of the gateway, or one of the team's. */
void health_note(struct health *h, const struct gateway_call *c);
void health_note_own(struct health *h, const struct manager_call *c);

/* For the table, whose context is a struct health.  Figures need a key where asking does. */
int health_allow(struct http_exchange *x, void *ctx, struct err *e);
extern const struct http_route health_routes[];
extern const size_t health_route_count;

#endif
