/* cli/exam_card.h - a model's report card as a person reads it. */
#ifndef TANDEM_CLI_EXAM_CARD_H
#define TANDEM_CLI_EXAM_CARD_H

#include "cli/session.h"
#include "model/exam.h"
#include "model/registry.h"

/* With the next steps, for the model as its entry is now. */
void exam_card_print(const struct session *s, const struct exam_card *c, const struct model_entry *entry);

#endif
