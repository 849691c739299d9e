/* results_junit.c - JUnit XML, by expat.
 *
 * Expat streams, so a large report needs no tree.  A document type declaration stops the
 * reading at once: entities that expand without end cannot be declared anywhere else, and
 * no tool writes one.
 */
#include "repo/results.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "repo/results_build.h"

#include <expat.h>

enum { MAX_DEPTH = 64 };

struct junit {
    struct results_builder builder;
    XML_Parser parser;
    struct err *err;
    int code; /* of the first fault */
    int depth;
    int case_depth;    /* depth of the open <testcase>; 0: outside */
    int outcome_depth; /* depth of the open <failure>, <error> or <skipped>; 0: outside */
    struct str id, message;
    struct str said, text; /* of the open outcome: its attribute, its text */
    enum test_outcome outcome;
};

static void stop(struct junit *j, int code)
{
    if (j->code == 0)
        j->code = code;
    XML_StopParser(j->parser, XML_FALSE);
}

static const char *attribute(const XML_Char **attributes, const char *name)
{
    for (size_t i = 0; attributes[i]; i += 2)
        if (streq(attributes[i], name))
            return attributes[i + 1];
    return "";
}

/* The class without the module path that its file implies: "tests.test_units.Convert" of
 * tests/test_units.py is "Convert". */
static const char *class_in_file(const char *file, const char *class)
{
    size_t len = strlen(file);
    const char *dot = strrchr(file, '.');
    if (dot && !strchr(dot, '/'))
        len = (size_t)(dot - file);
    for (size_t i = 0; i < len; i++) {
        char wanted = file[i] == '/' ? '.' : file[i];
        if (class[i] != wanted)
            return class;
    }
    if (class[len] == '\0')
        return "";
    return class[len] == '.' ? class + len + 1 : class;
}

static void add_class(struct str *id, const char *class)
{
    for (; *class; class++) {
        if (*class == '.')
            str_add(id, "::");
        else
            str_add_char(id, *class);
    }
}

/* FILE::CLASS::NAME.  pytest reports a file that cannot be imported as a case of its own,
 * named like the module: its id is the file. */
static void make_id(struct str *id, const char *file, const char *class, const char *name)
{
    str_clear(id);
    str_add(id, file);
    if (*file && !*class && !*class_in_file(file, name))
        return;
    const char *inner = *file ? class_in_file(file, class) : class;
    if (*inner) {
        str_add(id, id->len ? "::" : "");
        if (*file)
            add_class(id, inner);
        else
            str_add(id, inner);
    }
    str_add(id, id->len ? "::" : "");
    str_add(id, *name ? name : "(no name)");
}

static void add_text(struct str *to, const char *text, size_t len)
{
    size_t left = to->len < RESULTS_MAX_MESSAGE ? RESULTS_MAX_MESSAGE - to->len : 0;
    str_add_bytes(to, text, len < left ? len : left);
}

static void open_outcome(struct junit *j, enum test_outcome outcome, const XML_Char **attributes)
{
    /* One case may carry a failure of the test and an error of its tear-down. */
    if (j->outcome == TEST_PASSED || j->outcome == TEST_SKIPPED || outcome == TEST_ERROR)
        j->outcome = outcome;
    str_clear(&j->said);
    str_clear(&j->text);
    const char *said = attribute(attributes, "message");
    add_text(&j->said, said, strlen(said));
    j->outcome_depth = j->depth;
}

/* The message is the attribute and the text, or the text alone where it says both. */
static void close_outcome(struct junit *j)
{
    j->outcome_depth = 0;
    str_rtrim(&j->text);
    if (j->message.len)
        add_text(&j->message, "\n", 1);
    if (!strstr(j->text.data, j->said.data)) {
        add_text(&j->message, j->said.data, j->said.len);
        add_text(&j->message, "\n", j->text.len ? 1 : 0);
    }
    add_text(&j->message, j->text.data, j->text.len);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct junit *j = ctx;
    if (++j->depth > MAX_DEPTH) {
        stop(j, err_set(j->err, ERR_LIMIT, "the JUnit report is nested more than %d levels deep", MAX_DEPTH));
        return;
    }
    if (j->depth == 1 && !streq(name, "testsuites") && !streq(name, "testsuite")) {
        stop(j, err_set(j->err, ERR_INVALID, "not a JUnit report: it begins with <%s>",
                        text_clean(j->builder.arena, name, strlen(name), 40, true)));
        return;
    }
    if (j->case_depth == 0 && streq(name, "testcase")) {
        j->case_depth = j->depth;
        j->outcome = TEST_PASSED;
        str_clear(&j->message);
        make_id(&j->id, attribute(attributes, "file"), attribute(attributes, "classname"),
                attribute(attributes, "name"));
    } else if (j->case_depth != 0 && j->depth == j->case_depth + 1) {
        if (streq(name, "failure"))
            open_outcome(j, TEST_FAILED, attributes);
        else if (streq(name, "error"))
            open_outcome(j, TEST_ERROR, attributes);
        else if (streq(name, "skipped"))
            open_outcome(j, TEST_SKIPPED, attributes);
    }
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct junit *j = ctx;
    (void)name;
    if (j->outcome_depth == j->depth)
        close_outcome(j);
    if (j->case_depth == j->depth) {
        j->case_depth = 0;
        int r = results_add(&j->builder, j->id.data, j->id.len, j->outcome, j->message.data,
                            j->message.len, j->err);
        if (r < 0)
            stop(j, r);
    }
    j->depth--;
}

static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct junit *j = ctx;
    if (j->outcome_depth)
        add_text(&j->text, text, (size_t)len);
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system_id,
                       const XML_Char *public_id, int has_internal)
{
    struct junit *j = ctx;
    (void)name, (void)system_id, (void)public_id, (void)has_internal;
    stop(j, err_set(j->err, ERR_REFUSED, "the JUnit report declares a document type, which is refused"));
}

static int junit_parse(struct junit *j, const char *text, size_t len, struct err *e)
{
    if (XML_Parse(j->parser, text, (int)len, 1) != XML_STATUS_OK && j->code == 0) {
        enum XML_Error fault = XML_GetErrorCode(j->parser);
        if (fault == XML_ERROR_NO_MEMORY)
            out_of_memory();
        return err_set(e, ERR_INVALID, "the JUnit report is not XML: line %lu: %s",
                       (unsigned long)XML_GetCurrentLineNumber(j->parser), XML_ErrorString(fault));
    }
    return j->code;
}

int results_read_junit(struct arena *a, const char *text, size_t len, struct test_results *ret, struct err *e)
{
    int r = results_check_size("JUnit report", len, e);
    if (r < 0)
        return r;
    struct junit j = { .builder = { .arena = a }, .err = e, .id = STR_INIT, .message = STR_INIT,
                       .said = STR_INIT, .text = STR_INIT };
    j.parser = XML_ParserCreate(NULL);
    if (!j.parser)
        out_of_memory();
    XML_SetUserData(j.parser, &j);
    XML_SetElementHandler(j.parser, on_start, on_end);
    XML_SetCharacterDataHandler(j.parser, on_text);
    XML_SetStartDoctypeDeclHandler(j.parser, on_doctype);
    r = junit_parse(&j, text, len, e);
    if (r == 0)
        results_finish(&j.builder, "", ret);
    XML_ParserFree(j.parser);
    str_release(&j.id);
    str_release(&j.message);
    str_release(&j.said);
    str_release(&j.text);
    return r;
}
