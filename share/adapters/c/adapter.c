/* @NAME@: an adapter that lets Tandem use a model of your own.
 *
 * This file is the model; tandem_adapter.c beside it speaks Tandem's protocol, which
 * docs/adapters.md of Tandem describes.  As it is, the model is a toy: it repeats what it was
 * asked, and counts words as tokens.  Put yours in its place, and run `make`.
 *
 * It runs in a sandbox: there is no network, this folder and the model's file are read-only, and
 * /tmp is yours.  getenv("TANDEM_MODEL") is the path of the file that was imported with it.
 */
#include "tandem_adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 4096, DIMENSIONS = 32 };

/* The next word of a text and its length; NULL: there is none. */
static const char *next_word(const char *text, size_t *len)
{
    text += strspn(text, " \t\r\n");
    *len = strcspn(text, " \t\r\n");
    return *len ? text : NULL;
}

static long count(const char *text)
{
    long words = 0;
    size_t len;
    for (const char *at = text; (at = next_word(at, &len)); at += len)
        words++;
    return words;
}

/* Says the words of a text, as far as they may; false: that is enough. */
static int say_words(struct tandem_chat *q, const char *text, long *said)
{
    size_t len;
    for (const char *at = text; (at = next_word(at, &len)); at += len) {
        if (q->max_tokens > 0 && *said >= q->max_tokens) {
            q->finish = "length";
            return 0;
        }
        if (*said && !tandem_say(q, " ", 1))
            return 0;
        if (!tandem_say(q, at, len)) /* it was cancelled */
            return 0;
        ++*said;
    }
    return 1;
}

static const char *chat(void *model, struct tandem_chat *q)
{
    const char *asked = "";
    (void)model;
    for (size_t i = 0; i < q->message_count; i++) {
        q->prompt_tokens += count(q->messages[i].content);
        if (strcmp(q->messages[i].role, "user") == 0)
            asked = q->messages[i].content;
    }
    if (q->prompt_tokens > CONTEXT)
        return tandem_refuse(q, "context", "the prompt has more tokens than the context");
    if (say_words(q, "I am @NAME@, and you said:", &q->completion_tokens))
        say_words(q, asked, &q->completion_tokens);
    return NULL;
}

static const char *embed(void *model, const char *text, double *vector)
{
    double length = 0;
    (void)model;
    if (count(text) > CONTEXT)
        return "context";
    memset(vector, 0, DIMENSIONS * sizeof *vector);
    for (const char *c = text; *c; c++)
        vector[(unsigned char)*c % DIMENSIONS] += 1;
    for (int i = 0; i < DIMENSIONS; i++)
        length += vector[i] * vector[i];
    for (int i = 0; i < DIMENSIONS; i++)
        vector[i] /= sqrt(length);
    return NULL;
}

int main(void)
{
    /* Load the model here: Tandem waits for it.  getenv("TANDEM_MODEL") names its file. */
    struct tandem_model model = {
        .name = "@NAME@", .version = "1", .context = CONTEXT, .chat = chat, .embed = embed, .dimensions = DIMENSIONS,
    };
    return tandem_serve(&model, NULL);
}
