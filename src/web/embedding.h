/* web/embedding.h - vectors for other programs, from the home's store where they are kept there
 * (model/vectors.h), so that a text that many tools index is read once.
 *
 * Threads: a handler's.
 */
#ifndef TANDEM_WEB_EMBEDDING_H
#define TANDEM_WEB_EMBEDDING_H

#include "web/gateway.h"

/* Answers POST /v1/embeddings of texts alone.  *ret_passes, and nothing done: the request has something
 * that only the model's server can read (tokens, `dimensions`), and is to be passed on as it is. */
int embedding_answer(struct http_exchange *x, const struct gateway *g, bool *ret_passes, struct err *e);

#endif
