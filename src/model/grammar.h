/* model/grammar.h - the grammar of an answer that must be JSON of a record's shape.
 *
 * In GBNF, as llama-server takes it.  It leaves no white space between the parts, where a weak
 * model otherwise gets lost (a schema allows it), and has the members in the record's order.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_GRAMMAR_H
#define TANDEM_MODEL_GRAMMAR_H

struct record;
struct str;

/* Appends it; whatever it allows is JSON, but not all that record_read refuses is kept out (a text
 * of too many bytes, a number out of a wide range). */
void grammar_write(struct str *out, const struct record *r);

#endif
