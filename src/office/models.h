/* office/models.h - the models of a sitting: words of a person, or the routes (internal to office/). */
#ifndef TANDEM_OFFICE_MODELS_H
#define TANDEM_OFFICE_MODELS_H

#include "model/manager.h"
#include "office/office.h"

enum { MAX_CREW_MODELS = 16 };

struct crew_models {
    struct model *all[MAX_CREW_MODELS]; /* each once */
    size_t count;
    struct model *by_role[ROLE_COUNT], *heavy[ROLE_COUNT];
    const char *served[ROLE_COUNT]; /* by which name of the registry; NULL: by an address */
    const char *note;               /* on models that were not examined; "" */
    struct recording *recording;
};

/* The models of these words, or else those that the routes of the home name.  Close it in any
 * case. */
int crew_models_open(struct crew_models *m, struct office *o, const struct office_caller *c, const struct settings *set,
                     struct arena *a, const struct texts *words, enum drift_rule drift, struct err *e);
/* From now on each answered call is a file below `dir`. */
int crew_models_record(struct crew_models *m, const char *dir, struct err *e);
/* Asks the server of each of them, within its patience, what it has. */
int crew_models_ask(struct crew_models *m, const atomic_bool *cancel, struct err *e);
/* Appends what the person should know at the end: prompts that differ from a recording. */
void crew_models_notes(const struct crew_models *m, struct str *notes);
void crew_models_close(struct crew_models *m);

#endif
