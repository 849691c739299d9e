/* cli/place.h - paths as people say them, made whole: what is said here is read in another process,
 * now or when the project is resumed, and that was started elsewhere.
 */
#ifndef TANDEM_CLI_PLACE_H
#define TANDEM_CLI_PLACE_H

struct arena;
struct err;

/* The current directory; NULL: it cannot be told. */
const char *place_here(struct arena *a);
/* Without "." and ".." and links, so far as it is there: what is last may yet have to be made.  `what`
 * names it in errors ("--out").  ERR_INVALID: it is not UTF-8, which all that is stored has to be. */
int place_whole(struct arena *a, const char *what, const char *path, const char **ret, struct err *e);
/* The same of a directory that is going to be written to, and made when it is not there yet.  ERR_SETUP: it
 * cannot be, which is to be known before anything begins. */
int place_to_write(struct arena *a, const char *what, const char *path, const char **ret, struct err *e);
/* What a file says of a path: meant from the directory of the file. "" stays. */
const char *place_beside(struct arena *a, const char *file, const char *path);
/* A word of --model with the recording, or the Ollama, that it means here. */
int place_of_model(struct arena *a, const char *word, const char **ret, struct err *e);

#endif
