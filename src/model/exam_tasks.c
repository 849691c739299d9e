/* exam_tasks.c - the questions of an exam, and who judges the answers.
 *
 * The changes are such that there is one right outcome, which is compared byte for byte but for
 * white space at the ends of lines and blank lines: a model that is asked to change one line and
 * "improves" another has failed, because that is what breaks a team's work.
 */
#include "model/exam.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/answer.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- changes ---- */

const struct exam_change exam_changes[] = {
    { "src/limits.py",
      "LIMIT = 10\nRETRIES = 3\n\n\ndef is_full(items):\n    return len(items) >= LIMIT\n",
      "Change LIMIT from 10 to 25.",
      "LIMIT = 25\nRETRIES = 3\n\n\ndef is_full(items):\n    return len(items) >= LIMIT\n" },
    { "src/shapes.py",
      "def area(width, height):\n    return width * height\n\n\ndef perimeter(width, height):\n    return 2 * (width + height)\n",
      "Rename the function perimeter to outline, and change nothing else.",
      "def area(width, height):\n    return width * height\n\n\ndef outline(width, height):\n    return 2 * (width + height)\n" },
    { "src/greet.c",
      "#include <stdio.h>\n\nvoid greet(const char *name)\n{\n    printf(\"Hello, %s\\n\", name);\n}\n\nvoid leave(void)\n{\n    printf(\"Bye\\n\");\n}\n",
      "In the function leave print Farewell instead of Bye.",
      "#include <stdio.h>\n\nvoid greet(const char *name)\n{\n    printf(\"Hello, %s\\n\", name);\n}\n\nvoid leave(void)\n{\n    printf(\"Farewell\\n\");\n}\n" },
    { "src/stock.py",
      "def reserve(stock, count):\n    if count > stock:\n        return None\n    return stock - count\n\n\ndef unused():\n    return 0\n",
      "Delete the function unused, and change nothing else.",
      "def reserve(stock, count):\n    if count > stock:\n        return None\n    return stock - count\n" },
    { "src/totals.js",
      "function total(prices) {\n  let sum = 0;\n  for (const price of prices) {\n    sum += price;\n  }\n  return sum;\n}\n\nmodule.exports = { total };\n",
      "Let total begin with the sum 100 instead of 0.",
      "function total(prices) {\n  let sum = 100;\n  for (const price of prices) {\n    sum += price;\n  }\n  return sum;\n}\n\nmodule.exports = { total };\n" },
    { "src/settings.py",
      "DEFAULTS = {\n    \"color\": \"red\",\n    \"size\": 4,\n}\n\n\ndef get(name):\n    return DEFAULTS[name]\n",
      "Add the line     \"shape\": \"round\", to DEFAULTS, directly below the line of size.",
      "DEFAULTS = {\n    \"color\": \"red\",\n    \"size\": 4,\n    \"shape\": \"round\",\n}\n\n\ndef get(name):\n    return DEFAULTS[name]\n" },
    { "src/grade.py",
      "def grade(points):\n    if points >= 90:\n        return \"A\"\n    if points >= 80:\n        return \"B\"\n    return \"C\"\n",
      "Let grade give A from 95 points on; all else stays.",
      "def grade(points):\n    if points >= 95:\n        return \"A\"\n    if points >= 80:\n        return \"B\"\n    return \"C\"\n" },
    { "src/queue.c",
      "int front(const int *queue)\n{\n    return queue[0];\n}\n\nint back(const int *queue, int count)\n{\n    return queue[count];\n}\n",
      "The function back reads one element too far: let it return queue[count - 1].",
      "int front(const int *queue)\n{\n    return queue[0];\n}\n\nint back(const int *queue, int count)\n{\n    return queue[count - 1];\n}\n" },
};
const size_t exam_change_count = COUNT(exam_changes);

/* The next line that is not blank, without what is white at its end; false: there is none. */
static bool next_line(const char **at, const char *end, const char **ret, size_t *ret_len)
{
    while (*at < end) {
        const char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        *at = stop < end ? stop + 1 : end;
        while (stop > line && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
            stop--;
        *ret = line;
        *ret_len = (size_t)(stop - line);
        if (*ret_len)
            return true;
    }
    return false;
}

static bool same_text(const char *a, size_t a_len, const char *b)
{
    const char *a_end = a + a_len, *b_end = b + strlen(b), *x, *y;
    size_t x_len, y_len;
    for (;;) {
        bool more = next_line(&a, a_end, &x, &x_len), other = next_line(&b, b_end, &y, &y_len);
        if (!more || !other)
            return more == other;
        if (x_len != y_len || memcmp(x, y, x_len) != 0)
            return false;
    }
}

static int judge_file(struct arena *a, const struct exam_change *c, bool blocks, const struct answer_file *f, struct err *e)
{
    struct edited made = { .bytes = f->bytes, .len = f->len };
    if (!streq(f->path, c->path))
        return err_set(e, ERR_INVALID, "it changes %s, not %s", f->path, c->path);
    if (f->deleted)
        return err_set(e, ERR_INVALID, "it deletes %s", f->path);
    if (blocks != (f->edits.count > 0))
        return err_set(e, ERR_INVALID, blocks ? "it gives the whole file instead of blocks" : "it gives blocks instead of the whole file");
    if (blocks && edits_apply(a, c->before, strlen(c->before), &f->edits, &made, e) < 0)
        return ERR_INVALID;
    return same_text(made.bytes, made.len, c->after) ? 0 : err_set(e, ERR_INVALID, "the file is not as asked for");
}

int exam_judge_change(const struct exam_change *c, bool blocks, const char *answer, size_t len, struct err *e)
{
    ARENA_LOCAL(a);
    struct answer_files files;
    int r = answer_read_files(&a, answer, len, &files, e);
    if (r < 0)
        return ERR_INVALID;
    if (files.count != 1 || files.unclosed)
        return err_set(e, ERR_INVALID, files.unclosed ? "its last block is not closed" : "it has %zu files instead of one", files.count);
    return judge_file(&a, c, blocks, &files.files[0], e);
}

/* ---- forms ---- */

struct verdict { bool accepted; const char *reason; };
static const struct field verdict_fields[] = {
    FIELD(struct verdict, accepted, FIELD_BOOL, .required = true),
    FIELD(struct verdict, reason, FIELD_TEXT, .required = true, .max = 400),
};
static const struct record verdict_record = RECORD("verdict", struct verdict, verdict_fields);

struct person { const char *name; int64_t age; int sort; };
static const char *const sorts[] = { "child", "adult", NULL };
static const struct field person_fields[] = {
    FIELD(struct person, name, FIELD_TEXT, .required = true, .max = 100),
    FIELD(struct person, age, FIELD_INT, .required = true, .min = 0, .max = 150),
    FIELD(struct person, sort, FIELD_ENUM, .required = true, .choices = sorts),
};
static const struct record person_record = RECORD("person", struct person, person_fields);

struct plan { const char *title; struct texts steps; };
static const struct field plan_fields[] = {
    FIELD(struct plan, title, FIELD_TEXT, .required = true, .max = 200),
    FIELD(struct plan, steps, FIELD_TEXTS, .required = true, .max = 10),
};
static const struct record plan_record = RECORD("plan", struct plan, plan_fields);

struct group { const char *name; struct records people; };
static const struct field group_fields[] = {
    FIELD(struct group, name, FIELD_TEXT, .required = true, .max = 100),
    FIELD(struct group, people, FIELD_RECORDS, .required = true, .of = &person_record, .max = 5),
};
static const struct record group_record = RECORD("group", struct group, group_fields);

const struct exam_form exam_forms[] = {
    { "A colleague changed 1 + 1 == 2 to 1 + 1 == 3 in a test. Say whether you accept that: one JSON object with the members "
      "accepted (true or false) and reason (one sentence), and nothing else.", &verdict_record },
    { "Ada is 36 years old. Answer with one JSON object with the members name, age (a number) and sort (\"child\" or \"adult\"), and "
      "nothing else.", &person_record },
    { "Plan how to bake a cake, in three to six steps: one JSON object with the members title (a text) and steps (a list of texts), and "
      "nothing else.", &plan_record },
    { "Invent a group of two people: one JSON object with the members name (of the group) and people, a list of objects with name, age (a "
      "number) and sort (\"child\" or \"adult\"), and nothing else.", &group_record },
    { "Is a tomato a fruit? One JSON object with the members accepted (true for yes) and reason (one sentence with the word \"botany\" in "
      "quotation marks), and nothing else.", &verdict_record },
    { "Plan a walk of an hour through a town: one JSON object with the members title (a text) and steps (a list of three texts), and "
      "nothing else.", &plan_record },
};
const size_t exam_form_count = COUNT(exam_forms);

int exam_judge_form(const struct exam_form *f, const char *answer, size_t len, struct err *e)
{
    ARENA_LOCAL(a);
    return answer_read_json(&a, answer, len, f->record, arena_alloc(&a, f->record->size), e);
}

/* ---- loops ---- */

const char *const exam_essays[] = {
    "Explain how a hash table works, with an example, in about 300 words.",
    "Write a list of forty different animals, one on each line, without numbers.",
    "Tell a story of about 300 words about a lighthouse keeper who repairs a clock.",
};
const size_t exam_essay_count = COUNT(exam_essays);

enum { TAIL = 400, MAX_PERIOD = 130, MIN_LINES = 12, HALF = 2 };

/* The last TAIL bytes are one piece, three times or more. */
static bool ends_in_circles(const char *text, size_t len)
{
    if (len < TAIL)
        return false;
    const char *tail = text + len - TAIL;
    for (size_t period = 1; period <= MAX_PERIOD; period++)
        if (memcmp(tail, tail + period, TAIL - period) == 0)
            return true;
    return false;
}

/* Most lines were there before. */
static bool repeats_lines(const char *text, size_t len)
{
    const char *at = text, *end = text + len, *line;
    size_t line_len, lines = 0, again = 0;
    while (next_line(&at, end, &line, &line_len)) {
        const char *before = text, *other;
        size_t other_len;
        lines++;
        while (next_line(&before, end, &other, &other_len) && other < line) {
            if (other_len != line_len || memcmp(other, line, line_len) != 0)
                continue;
            again++;
            break;
        }
    }
    return lines >= MIN_LINES && again * HALF > lines;
}

bool exam_is_loop(const char *text, size_t len)
{
    return answer_repetition(text, len) >= 0 || ends_in_circles(text, len) || repeats_lines(text, len);
}

/* ---- needles ---- */

void exam_haystack(int64_t tokens, int64_t depth, int64_t number, struct str *out)
{
    enum { PERCENT = 100 };
    static const char *const who[] = { "clerk", "baker", "gardener", "teacher", "sailor", "painter", "doctor" };
    static const char *const what[] = { "crates of apples", "bags of flour", "boxes of candles", "barrels of salt", "rolls of cloth" };
    static const char *const where[] = { "in the north hall", "behind the mill", "at the harbour", "under the bridge" };
    bool told = false;
    int64_t sum = 0, line = 0;
    while (sum < tokens || !told) {
        size_t begin = out->len;
        if (!told && sum * PERCENT >= tokens * depth) {
            str_addf(out, "The password of the old lighthouse is amber %lld.\n", (long long)number);
            told = true;
        } else {
            str_addf(out, "In the morning the %s found some %s %s, and nobody could say whose they were.\n", who[line % (int64_t)COUNT(who)],
                     what[line % (int64_t)COUNT(what)], where[line % (int64_t)COUNT(where)]);
            line++;
        }
        sum += tokens_estimate(out->data + begin, out->len - begin);
    }
}

bool exam_found(int64_t number, const char *answer)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)number);
    return strstr(answer, digits) != NULL;
}
