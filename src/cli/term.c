/* term.c - what the terminal can do, and questions to the person before it.
 *
 * No curses: what is needed (colours, moving up, clearing a line) has been the same in
 * every terminal for thirty years, and a library would bring its own idea of the screen.
 */
#include "cli/term.h"

#include "base/err.h"
#include "base/setting.h"
#include "base/str.h"
#include "os/files.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_LINE = 64 << 10, MAX_QUESTIONS = 10, POLL_MS = 50 };

static bool has(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

static bool decide(int when, bool automatic)
{
    return when == SETTING_AUTO ? automatic : when == SETTING_ALWAYS;
}

void term_init(struct term *t, int in_fd, int out_fd, const struct settings *s)
{
    const char *kind = getenv("TERM");
    bool is_dumb = !kind || !*kind || streq(kind, "dumb");
    bool is_tty = isatty(out_fd) == 1;
    locale_t persons = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    const char *charset = persons ? nl_langinfo_l(CODESET, persons) : "";
    *t = (struct term){
        .in_fd = in_fd,
        .out_fd = out_fd,
        .is_terminal = is_tty && !is_dumb,
        .can_ask = is_tty && isatty(in_fd) == 1,
        .colors = decide(s->color, is_tty && !is_dumb && !has("NO_COLOR")),
        .unicode = decide(s->unicode, streq(charset, "UTF-8")),
    };
    if (persons)
        freelocale(persons);
    term_measure(t);
}

void term_measure(struct term *t)
{
    struct winsize size;
    t->width = 80;
    t->height = 24;
    if (ioctl(t->out_fd, TIOCGWINSZ, &size) == 0) {
        if (size.ws_col > 0)
            t->width = size.ws_col;
        if (size.ws_row > 0)
            t->height = size.ws_row;
    }
}

const char *const *term_inks(bool colors)
{
    /* The terminal's own palette: the person chose it, and it fits dark and light. */
    static const char *const sequences[INK_COUNT] = {
        [INK_PLAIN] = "\033[0m", [INK_QUIET] = "\033[2m", [INK_STRONG] = "\033[1m",
        [INK_ACCENT] = "\033[34m", [INK_RED] = "\033[31m", [INK_GREEN] = "\033[32m",
    };
    static const char *const none[INK_COUNT] = { "", "", "", "", "", "" };
    return colors ? sequences : none;
}

const char *term_ink(bool colors, enum ink ink)
{
    return term_inks(colors)[ink];
}

const char *term_ellipsis(bool unicode)
{
    return unicode ? "…" : "...";
}

/* ---- questions ---- */

static void say(const struct term *t, const char *text, size_t len)
{
    fd_write(t->out_fd, text, len); /* where the terminal is gone, reading will tell */
}

/* One byte; 0 at the end of input. */
static int read_byte(const struct term *t, char *ret, struct err *e)
{
    for (;;) {
        if (t->cancel && atomic_load(t->cancel)) {
            say(t, "\n", 1); /* behind the question and ^C */
            return err_set(e, ERR_CANCELLED, "stopped");
        }
        struct pollfd ready = { .fd = t->in_fd, .events = POLLIN };
        int n = poll(&ready, 1, POLL_MS);
        if (n == 0 || (n < 0 && errno == EINTR))
            continue;
        ssize_t got = read(t->in_fd, ret, 1);
        if (got >= 0)
            return (int)got;
        if (errno != EINTR && errno != EAGAIN)
            return err_set_errno(e, ERR_FAILED, errno, "cannot read the answer");
    }
}

static int read_line(const struct term *t, struct str *out, struct err *e)
{
    size_t start = out->len;
    char c;
    for (;;) {
        int r = read_byte(t, &c, e);
        if (r < 0)
            return r;
        if (r == 0 && out->len == start) {
            say(t, "\n", 1);
            return err_set(e, ERR_CANCELLED, "no answer was given");
        }
        if (r == 0 || c == '\n')
            return 0;
        if (out->len - start >= MAX_LINE)
            return err_set(e, ERR_LIMIT, "the answer is longer than %d KiB", MAX_LINE >> 10);
        str_add_char(out, c);
    }
}

int term_ask_line(const struct term *t, const char *prompt, const char *otherwise,
                  struct str *ret, struct err *e)
{
    if (!t->can_ask)
        return err_set(e, ERR_UNAVAILABLE, "there is no terminal to ask \"%s\" on; %s", prompt, otherwise);
    STR_LOCAL(line);
    str_addf(&line, "%s ", prompt);
    say(t, line.data, line.len);
    str_clear(&line);
    int r = read_line(t, &line, e);
    if (r == 0)
        str_add_str(ret, &line);
    return r;
}

/* "a", "A" or "accept", with white space around it. */
static bool is_choice(const struct choice *c, const char *answer)
{
    answer += strspn(answer, " \t");
    size_t len = strcspn(answer, " \t\r");
    if (len == 0 || answer[len + strspn(answer + len, " \t\r")])
        return false;
    if (len == 1)
        return (*answer | 0x20) == c->letter;
    return len <= strlen(c->label) && strncasecmp(answer, c->label, len) == 0;
}

int term_ask(const struct term *t, const char *question, const struct choice *choices,
             size_t count, const char *otherwise, char *ret, struct err *e)
{
    if (!t->can_ask)
        return err_set(e, ERR_UNAVAILABLE, "there is no terminal to ask \"%s\" on; %s", question, otherwise);
    STR_LOCAL(prompt);
    str_addf(&prompt, "%s%s%s ", term_ink(t->colors, INK_STRONG), question, term_ink(t->colors, INK_PLAIN));
    for (size_t i = 0; i < count; i++)
        str_addf(&prompt, " [%s%c%s]%s", term_ink(t->colors, INK_ACCENT), choices[i].letter,
                 term_ink(t->colors, INK_PLAIN), choices[i].label + 1);
    str_add(&prompt, "  ");
    for (int tries = 0; tries < MAX_QUESTIONS; tries++) {
        say(t, prompt.data, prompt.len);
        STR_LOCAL(answer);
        int r = read_line(t, &answer, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            if (is_choice(&choices[i], answer.data)) {
                *ret = choices[i].letter;
                return 0;
            }
        }
        static const char hint[] = "Please type one of the letters in brackets, then Enter.\n";
        say(t, hint, sizeof hint - 1);
    }
    return err_set(e, ERR_LIMIT, "%d answers were none of those offered", MAX_QUESTIONS);
}
