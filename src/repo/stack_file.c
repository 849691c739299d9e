/* stack_file.c - what a stack file may say, and its reading.
 *
 * Everything is checked when a file is loaded: fields by their description, patterns by
 * compiling them, groups that the code relies on, files it names.  After that nothing in
 * it can fail, so that a person learns of a mistake at once and with its line.
 */
#include "repo/stack_file.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "os/share.h"

/* ---- the description ---- */

static const char *const results_formats[] = { "tap", "junit", NULL };
static const char *const coverage_formats[] = { "lcov", "gcov", NULL };
static const char *const absent_kinds[] = { "symbol", "file", "signature", NULL };
static const char *const owner_kinds[] = { "none", "symbol", "file", NULL };
static const char *const take_kinds[] = { "last", "all", NULL };
static const char *const frames_places[] = { "before", "after", NULL };
const char *const failure_kind_names[] = { "assertion", "absence", "error", "exception", "fault", NULL };
static const char *const rule_kinds[] = { "assertion", "absence", "error", "exception", "fault", "companion", NULL };

static const struct field detect_fields[] = {
    FIELD(struct stack_detect, files, FIELD_TEXTS, .required = true, .min = 1, .max = 50,
          .doc = "path patterns, of which one must fit a file"),
    FIELD(struct stack_detect, contains, FIELD_TEXT, .max = 500,
          .doc = "pattern that one of those files must contain"),
    FIELD(struct stack_detect, weight, FIELD_INT, .min = 1, .max = 100,
          .doc = "how much it speaks for this stack; the largest sum wins"),
};
static const struct record detect_record = RECORD("detect", struct stack_detect, detect_fields);

static const struct field scaffold_fields[] = {
    FIELD(struct stack_scaffold_file, path, FIELD_TEXT, .required = true, .max = 200, .doc = "where it goes"),
    FIELD(struct stack_scaffold_file, text, FIELD_TEXT, .doc = "its text; {project} is replaced by the project's name"),
    FIELD(struct stack_scaffold_file, from, FIELD_TEXT, .max = 200,
          .doc = "or the file below stacks/ that holds its text"),
    FIELD(struct stack_scaffold_file, executable, FIELD_BOOL, .doc = "whether it can be run"),
    FIELD(struct stack_scaffold_file, protected, FIELD_BOOL, .doc = "nobody may change it"),
};
static const struct record scaffold_record = RECORD("scaffold", struct stack_scaffold_file, scaffold_fields);

static const struct field listing_fields[] = {
    FIELD(struct stack_listing, files, FIELD_TEXTS, .required = true, .min = 1, .max = 20,
          .doc = "path patterns of the files this is for"),
    FIELD(struct stack_listing, blank, FIELD_TEXT, .max = 1000,
          .doc = "what is not code (comments, string literals) and is blanked first; of a match that has the group "
                 "(?<text>...) only that"),
    FIELD(struct stack_listing, scope, FIELD_TEXT, .max = 500,
          .doc = "begins a scope, whose name is the group (?<scope>...); it ends where one or a test stands as far left"),
    FIELD(struct stack_listing, scope_end, FIELD_TEXT, .max = 500, .doc = "ends all scopes"),
    FIELD(struct stack_listing, test, FIELD_TEXT, .required = true, .max = 500,
          .doc = "a test, whose name is the group (?<name>...)"),
    FIELD(struct stack_listing, id, FIELD_TEXT, .required = true, .max = 200,
          .doc = "the test's id, from {path}, {scope} (scopes in each other by \"::\") and {name}; tests that need a scope and "
                 "have none are left out"),
};
static const struct record listing_record = RECORD("listing", struct stack_listing, listing_fields);

static const struct field additions_fields[] = {
    FIELD(struct stack_additions, files, FIELD_TEXTS, .max = 20, .doc = "path patterns of test files that may be added to"),
    FIELD(struct stack_additions, begin, FIELD_TEXT, .max = 500,
          .doc = "where a piece of such a file begins; one that defines something has the group (?<name>...), and (?<scope>...) "
                 "takes part where it may hold others"),
    FIELD(struct stack_additions, plain, FIELD_TEXT, .max = 1000,
          .doc = "what a new piece without a name may be; without this there may be none"),
    FIELD(struct stack_additions, binds, FIELD_TEXT, .max = 500,
          .doc = "finds the names (?<name>...) that such a piece brings; a new name must not be one that is used already"),
    FIELD(struct stack_additions, hooks, FIELD_TEXT, .max = 500,
          .doc = "found in the head of a piece that acts on tests beside it, and may not be added"),
};
static const struct record additions_record = RECORD("additions", struct stack_additions, additions_fields);

static const struct field results_fields[] = {
    FIELD(struct stack_results, path, FIELD_TEXT, .required = true, .max = 100, .doc = "file below {out}"),
    FIELD(struct stack_results, format, FIELD_ENUM, .required = true, .choices = results_formats,
          .doc = "how results are written"),
};
static const struct record results_record = RECORD("results", struct stack_results, results_fields);

static const struct field suite_fields[] = {
    FIELD(struct stack_suite, argv, FIELD_TEXTS, .required = true, .min = 1, .max = 60,
          .doc = "runs all tests and goes on after failures; {out}, {stack}, {seconds} are replaced"),
    FIELD(struct stack_suite, named, FIELD_TEXTS, .max = 60,
          .doc = "runs the tests whose ids stand at {ids}, which becomes one argument each"),
    FIELD(struct stack_suite, env, FIELD_TEXTS, .max = 50, .doc = "NAME=value"),
    FIELD(struct stack_suite, runners, FIELD_TEXTS, .max = 10,
          .doc = "files below stacks/ that lie in {stack}, read-only, while tests run"),
    FIELD(struct stack_suite, results, FIELD_RECORD, .of = &results_record, .required = true),
    FIELD(struct stack_suite, id_cut, FIELD_TEXT, .max = 200,
          .doc = "cut from the end of ids (parameters of a test), which unites them"),
    FIELD(struct stack_suite, seconds, FIELD_INT, .min = 1, .max = 600, .doc = "a single test may take, as {seconds}"),
};
static const struct record suite_record = RECORD("suite", struct stack_suite, suite_fields);

static const struct field coverage_fields[] = {
    FIELD(struct stack_coverage, argv, FIELD_TEXTS, .max = 60, .doc = "runs all tests as suite.argv does, and counts lines"),
    FIELD(struct stack_coverage, env, FIELD_TEXTS, .max = 50, .doc = "more NAME=value"),
    FIELD(struct stack_coverage, path, FIELD_TEXT, .max = 100, .doc = "file below {out}; absent: not measured"),
    FIELD(struct stack_coverage, format, FIELD_ENUM, .choices = coverage_formats, .doc = "how it is written"),
};
static const struct record coverage_record = RECORD("coverage", struct stack_coverage, coverage_fields);

static const struct field build_fields[] = {
    FIELD(struct stack_build, argv, FIELD_TEXTS, .max = 60,
          .doc = "builds all that is no test, before the tests; exit status 0: the result " STACK_BUILD_ID
                 " has passed, else its message is what was printed; {paths} becomes the files of production code"),
};
static const struct record build_record = RECORD("build", struct stack_build, build_fields);

static const struct field prepare_fields[] = {
    FIELD(struct stack_prepare, lock, FIELD_TEXTS, .max = 20,
          .doc = "path patterns of the files that say what a project depends on; without such a file nothing is done"),
    FIELD(struct stack_prepare, reads, FIELD_TEXTS, .max = 20,
          .doc = "path patterns of other files that `run` needs; they alone are no reason to do anything"),
    FIELD(struct stack_prepare, vendored, FIELD_TEXTS, .max = 20,
          .doc = "path patterns of what `run` installs from; when given, it runs only where there is such a file"),
    FIELD(struct stack_prepare, version, FIELD_TEXTS, .max = 20,
          .doc = "prints the versions of what installs; after an upgrade it is installed anew"),
    FIELD(struct stack_prepare, run, FIELD_TEXTS, .max = 60,
          .doc = "installs into {out}, without network; it sees the files of `lock`, `reads` and `vendored` and no others"),
    FIELD(struct stack_prepare, online, FIELD_TEXTS, .max = 60,
          .doc = "runs instead where the setting `network` allows it"),
    FIELD(struct stack_prepare, env, FIELD_TEXTS, .max = 20,
          .doc = "NAME=value while tests run; {prepared} is where the installed files lie then, read-only"),
};
static const struct record prepare_record = RECORD("prepare", struct stack_prepare, prepare_fields);

static const struct field rule_fields[] = {
    FIELD(struct stack_rule, means, FIELD_ENUM, .required = true, .choices = rule_kinds,
          .doc = "what such a diagnostic means; companion: follows from an absence beside it"),
    FIELD(struct stack_rule, pattern, FIELD_TEXT, .required = true, .max = 1000,
          .doc = "matched where the diagnostic begins; groups (?<name>...) and (?<owner>...)"),
    FIELD(struct stack_rule, absent, FIELD_ENUM, .choices = absent_kinds, .doc = "what the name is; signature: a function that is there and takes other arguments"),
    FIELD(struct stack_rule, owner, FIELD_ENUM, .choices = owner_kinds,
          .doc = "what the owner is, which must be the project's own"),
    FIELD(struct stack_rule, defined, FIELD_TEXT, .max = 1000,
          .doc = "finds the definition of {name}; otherwise symbols.defined"),
    FIELD(struct stack_rule, in, FIELD_TEXTS, .max = 20, .doc = "path patterns of where to look; otherwise symbols.sources"),
    FIELD(struct stack_rule, in_program, FIELD_BOOL,
          .doc = "only where the innermost of failures.frame that is a file of the project is production code"),
    FIELD(struct stack_rule, say, FIELD_TEXT, .max = 300, .doc = "advice for the Tester"),
};
static const struct record rule_record = RECORD("rules", struct stack_rule, rule_fields);

static const struct field failures_fields[] = {
    FIELD(struct stack_failures, diagnostic, FIELD_TEXT, .required = true, .max = 1000,
          .doc = "each thing that a failure's message complains of"),
    FIELD(struct stack_failures, frame, FIELD_TEXT, .max = 500,
          .doc = "a line of a traceback, whose file is the group (?<path>...)"),
    FIELD(struct stack_failures, frames, FIELD_ENUM, .choices = frames_places,
          .doc = "where they stand: before the diagnostic, the innermost last, or after it, the innermost first"),
    FIELD(struct stack_failures, take, FIELD_ENUM, .choices = take_kinds, .doc = "which of them count"),
    FIELD(struct stack_failures, rules, FIELD_RECORDS, .of = &rule_record, .required = true, .min = 1, .max = 60,
          .doc = "the first that fits decides; none: an exception"),
};
static const struct record failures_record = RECORD("failures", struct stack_failures, failures_fields);

static const struct field symbols_fields[] = {
    FIELD(struct stack_symbols, sources, FIELD_TEXTS, .required = true, .min = 1, .max = 20,
          .doc = "path patterns of production code"),
    FIELD(struct stack_symbols, provides, FIELD_TEXTS, .required = true, .min = 1, .max = 10,
          .doc = "paths (or ends of paths) that provide the module or header {name}"),
    FIELD(struct stack_symbols, separator, FIELD_TEXT, .max = 4, .doc = "in names of modules, for '/' in paths"),
    FIELD(struct stack_symbols, defined, FIELD_TEXT, .required = true, .max = 1000,
          .doc = "pattern that finds the definition of {name} in a source"),
    FIELD(struct stack_symbols, foreign, FIELD_TEXT, .max = 4000,
          .doc = "pattern of names that belong to libraries, never to the project"),
};
static const struct record symbols_record = RECORD("symbols", struct stack_symbols, symbols_fields);

static const struct field strip_fields[] = {
    FIELD(struct stack_strip_rule, pattern, FIELD_TEXT, .required = true, .max = 500, .doc = "what changes from run to run"),
    FIELD(struct stack_strip_rule, with, FIELD_TEXT, .max = 100, .doc = "what stands there instead"),
};
static const struct record strip_record = RECORD("strip", struct stack_strip_rule, strip_fields);

static const struct field tool_fields[] = {
    FIELD(struct stack_tool, name, FIELD_TEXT, .required = true, .max = 60, .doc = "the tool"),
    FIELD(struct stack_tool, package, FIELD_TEXT, .required = true, .max = 60, .doc = "the Debian package that has it"),
    FIELD(struct stack_tool, install, FIELD_TEXT, .max = 200,
          .doc = "what to do to have it, where installing that package is not all"),
    FIELD(struct stack_tool, check, FIELD_TEXTS, .required = true, .min = 1, .max = 20,
          .doc = "a command that ends with status 0 where it is there"),
    FIELD(struct stack_tool, optional, FIELD_BOOL, .doc = "tests run without it"),
    FIELD(struct stack_tool, purpose, FIELD_TEXT, .max = 100, .doc = "what it is needed for"),
};
static const struct record tool_record = RECORD("tools", struct stack_tool, tool_fields);

static const struct field guide_fields[] = {
    FIELD(struct stack_guide_texts, layout, FIELD_TEXT, .required = true, .max = 2000, .doc = "where files go, for everyone"),
    FIELD(struct stack_guide_texts, tester, FIELD_TEXT, .required = true, .max = 3000, .doc = "how tests look"),
    FIELD(struct stack_guide_texts, developer, FIELD_TEXT, .required = true, .max = 3000, .doc = "how production code looks"),
};
static const struct record guide_record = RECORD("guide", struct stack_guide_texts, guide_fields);

static const struct field stack_fields[] = {
    FIELD(struct stack_spec, name, FIELD_TEXT, .required = true, .max = 40, .doc = "as the file is called"),
    FIELD(struct stack_spec, extends, FIELD_TEXT, .max = 40,
          .doc = "the stack whose top-level members count where this one has none; one level"),
    FIELD(struct stack_spec, title, FIELD_TEXT, .required = true, .max = 100, .doc = "one line for people"),
    FIELD(struct stack_spec, detect, FIELD_RECORDS, .of = &detect_record, .max = 20, .doc = "when it fits a repository"),
    FIELD(struct stack_spec, scaffold, FIELD_RECORDS, .of = &scaffold_record, .max = 50,
          .doc = "files of the first commit of an empty repository"),
    FIELD(struct stack_spec, tests, FIELD_TEXTS, .required = true, .min = 1, .max = 20,
          .doc = "path patterns of what the Tester writes"),
    FIELD(struct stack_spec, protected, FIELD_TEXTS, .max = 20, .doc = "path patterns of what nobody may change"),
    FIELD(struct stack_spec, refused, FIELD_TEXTS, .max = 60,
          .doc = "path patterns of what is nobody's unless it is a test: it would take the place of the test framework "
                 "or of what that needs, or change how it works"),
    FIELD(struct stack_spec, build_files, FIELD_TEXTS, .max = 20,
          .doc = "path patterns of build files the Developer may change"),
    FIELD(struct stack_spec, listing, FIELD_RECORDS, .of = &listing_record, .required = true, .min = 1, .max = 10,
          .doc = "how the ids of tests are read from their files"),
    FIELD(struct stack_spec, additions, FIELD_RECORD, .of = &additions_record,
          .doc = "how existing test files may grow; all others stay as they are"),
    FIELD(struct stack_spec, suite, FIELD_RECORD, .of = &suite_record, .required = true, .doc = "how tests are run"),
    FIELD(struct stack_spec, coverage, FIELD_RECORD, .of = &coverage_record, .doc = "how lines are counted"),
    FIELD(struct stack_spec, build, FIELD_RECORD, .of = &build_record, .doc = "how what no test reaches is built"),
    FIELD(struct stack_spec, prepare, FIELD_RECORD, .of = &prepare_record, .doc = "how dependencies are installed"),
    FIELD(struct stack_spec, failures, FIELD_RECORD, .of = &failures_record, .required = true,
          .doc = "what messages of failed tests mean"),
    FIELD(struct stack_spec, symbols, FIELD_RECORD, .of = &symbols_record, .required = true,
          .doc = "what the project's own code provides"),
    FIELD(struct stack_spec, strip, FIELD_RECORDS, .of = &strip_record, .max = 50, .doc = "volatile output"),
    FIELD(struct stack_spec, tools, FIELD_RECORDS, .of = &tool_record, .max = 20, .doc = "what the host must have"),
    FIELD(struct stack_spec, guide, FIELD_RECORD, .of = &guide_record, .required = true,
          .doc = "what the role prompts say about the language"),
};
const struct record stack_record = RECORD("stack", struct stack_spec, stack_fields);

/* ---- helpers ---- */

const struct pattern *stack_pattern(const struct stack *s, const char *text)
{
    for (size_t i = 0; i < s->pattern_count; i++)
        if (s->patterns[i].text == text)
            return s->patterns[i].pattern;
    return NULL;
}

bool stack_fits(const struct texts *globs, const char *path)
{
    for (size_t i = 0; i < globs->count; i++)
        if (path_fits(globs->items[i], path))
            return true;
    return false;
}

bool stack_is_source(const struct stack *s, const char *path)
{
    return stack_fits(&s->spec.symbols.sources, path) && !stack_is_test(s, path) && !stack_is_protected(s, path);
}

const char *stack_fill(struct arena *a, const char *text, const char *const *pairs)
{
    STR_LOCAL(out);
    while (*text) {
        size_t plain = strcspn(text, "{");
        str_add_bytes(&out, text, plain);
        text += plain;
        const char *const *pair = pairs;
        while (*pair && !starts_with(text, *pair))
            pair += 2;
        if (*pair) {
            str_add(&out, pair[1]);
            text += strlen(*pair);
        } else if (*text) {
            str_add_char(&out, *text++);
        }
    }
    return arena_strndup(a, out.data, out.len);
}

const char *stack_tool_install(struct arena *a, const struct stack_tool *tool)
{
    return *tool->install ? tool->install : arena_printf(a, "apt-get install %s", tool->package);
}

/* ---- loading ---- */

static bool is_stack_name(const char *name)
{
    return *name && strlen(name) <= 40 && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

struct loading {
    struct stack *stack;
    struct yaml *yaml;
    const char *const *override_dirs;
    struct err *err;
};

#define WHERE(ld, ...) arena_printf(&(ld)->stack->arena, __VA_ARGS__)

/* Compiles one pattern; `groups`: names it must have (NULL-terminated list). */
static int add_pattern(struct loading *ld, const char *where, const char *text, const char *compiled_text,
                       const char *group)
{
    struct stack *s = ld->stack;
    if (!*text)
        return 0;
    if (s->pattern_count == STACK_MAX_PATTERNS)
        return yaml_fault(ld->yaml, where, ld->err, "is one pattern too many; at most %d are allowed", STACK_MAX_PATTERNS);
    char why[200];
    struct pattern *p;
    if (!pattern_compile(&s->arena, compiled_text, &p, why, sizeof why))
        return yaml_fault(ld->yaml, where, ld->err, "is not a pattern: %s", why);
    if (group && !pattern_has_group(p, group))
        return yaml_fault(ld->yaml, where, ld->err, "has no group (?<%s>...)", group);
    s->patterns[s->pattern_count].text = text;
    s->patterns[s->pattern_count++].pattern = p;
    return 0;
}

/* A pattern with {name} in it is compiled anew for each name; here it is only checked. */
static int check_template(struct loading *ld, const char *where, const char *text)
{
    if (!*text)
        return 0;
    if (!strstr(text, "{name}"))
        return yaml_fault(ld->yaml, where, ld->err, "does not say {name}");
    ARENA_LOCAL(scratch);
    const char *const pairs[] = { "{name}", "\\Qx\\E", NULL };
    char why[200];
    struct pattern *p;
    if (!pattern_compile(&scratch, stack_fill(&scratch, text, pairs), &p, why, sizeof why))
        return yaml_fault(ld->yaml, where, ld->err, "is not a pattern: %s", why);
    return 0;
}

static int check_listing(struct loading *ld)
{
    const struct stack_spec *spec = &ld->stack->spec;
    int r = 0;
    for (size_t i = 0; r == 0 && i < spec->listing.count; i++) {
        const struct stack_listing *l = (const struct stack_listing *)spec->listing.items + i;
        r = add_pattern(ld, WHERE(ld, "listing[%zu].blank", i), l->blank, l->blank, NULL);
        if (r == 0)
            r = add_pattern(ld, WHERE(ld, "listing[%zu].scope", i), l->scope, l->scope, "scope");
        if (r == 0)
            r = add_pattern(ld, WHERE(ld, "listing[%zu].scope_end", i), l->scope_end, l->scope_end, NULL);
        if (r == 0)
            r = add_pattern(ld, WHERE(ld, "listing[%zu].test", i), l->test, l->test, "name");
        if (r == 0 && !strstr(l->id, "{name}"))
            r = yaml_fault(ld->yaml, WHERE(ld, "listing[%zu].id", i), ld->err, "does not say {name}");
        if (r == 0 && strstr(l->id, "{scope}") && !*l->scope)
            r = yaml_fault(ld->yaml, WHERE(ld, "listing[%zu].id", i), ld->err, "says {scope}, but no scope is described");
    }
    return r;
}

static int check_rules(struct loading *ld)
{
    const struct stack_failures *f = &ld->stack->spec.failures;
    int r = add_pattern(ld, "failures.diagnostic", f->diagnostic, f->diagnostic, NULL);
    if (r == 0)
        r = add_pattern(ld, "failures.frame", f->frame, f->frame, "path");
    for (size_t i = 0; r == 0 && i < f->rules.count; i++) {
        const struct stack_rule *rule = (const struct stack_rule *)f->rules.items + i;
        const char *where = WHERE(ld, "failures.rules[%zu].pattern", i);
        r = add_pattern(ld, where, rule->pattern, rule->pattern, rule->means == FAILURE_ABSENCE ? "name" : NULL);
        if (r == 0 && rule->owner != OWNER_NONE && !pattern_has_group(stack_pattern(ld->stack, rule->pattern), "owner"))
            r = yaml_fault(ld->yaml, where, ld->err, "has no group (?<owner>...)");
        if (r == 0 && rule->in_program && !*f->frame)
            r = yaml_fault(ld->yaml, WHERE(ld, "failures.rules[%zu].in_program", i), ld->err, "needs failures.frame");
        if (r == 0)
            r = check_template(ld, WHERE(ld, "failures.rules[%zu].defined", i), rule->defined);
    }
    return r;
}

static int check_other_patterns(struct loading *ld)
{
    const struct stack_spec *spec = &ld->stack->spec;
    int r = 0;
    for (size_t i = 0; r == 0 && i < spec->detect.count; i++) {
        const struct stack_detect *d = (const struct stack_detect *)spec->detect.items + i;
        r = add_pattern(ld, WHERE(ld, "detect[%zu].contains", i), d->contains, d->contains, NULL);
    }
    for (size_t i = 0; r == 0 && i < spec->strip.count; i++) {
        const struct stack_strip_rule *rule = (const struct stack_strip_rule *)spec->strip.items + i;
        r = add_pattern(ld, WHERE(ld, "strip[%zu].pattern", i), rule->pattern, rule->pattern, NULL);
    }
    if (r == 0 && spec->additions.files.count && !*spec->additions.begin)
        r = yaml_fault(ld->yaml, "additions", ld->err, "does not say where pieces begin");
    if (r == 0)
        r = add_pattern(ld, "additions.begin", spec->additions.begin, spec->additions.begin, "name");
    if (r == 0)
        r = add_pattern(ld, "additions.plain", spec->additions.plain, spec->additions.plain, NULL);
    if (r == 0)
        r = add_pattern(ld, "additions.binds", spec->additions.binds, spec->additions.binds, "name");
    if (r == 0)
        r = add_pattern(ld, "additions.hooks", spec->additions.hooks, spec->additions.hooks, NULL);
    if (r == 0)
        r = add_pattern(ld, "suite.id_cut", spec->suite.id_cut, spec->suite.id_cut, NULL);
    if (r == 0 && *spec->symbols.foreign)
        r = add_pattern(ld, "symbols.foreign", spec->symbols.foreign,
                        WHERE(ld, "\\A(?:%s)\\z", spec->symbols.foreign), NULL);
    if (r == 0)
        r = check_template(ld, "symbols.defined", spec->symbols.defined);
    return r;
}

static int check_env(struct loading *ld, const char *where, const struct texts *env)
{
    for (size_t i = 0; i < env->count; i++) {
        const char *equals = strchr(env->items[i], '=');
        if (!equals || equals == env->items[i])
            return yaml_fault(ld->yaml, WHERE(ld, "%s[%zu]", where, i), ld->err, "must be NAME=value, not \"%.60s\"",
                              env->items[i]);
    }
    return 0;
}

static int check_commands(struct loading *ld)
{
    const struct stack_spec *spec = &ld->stack->spec;
    if (spec->suite.named.count && !texts_has(&spec->suite.named, "{ids}"))
        return yaml_fault(ld->yaml, "suite.named", ld->err, "has no item {ids}");
    if (spec->coverage.argv.count && !*spec->coverage.path)
        return yaml_fault(ld->yaml, "coverage", ld->err, "names no path");
    if ((spec->prepare.run.count || spec->prepare.online.count) && !spec->prepare.lock.count)
        return yaml_fault(ld->yaml, "prepare", ld->err, "names no lock file");
    int r = check_env(ld, "suite.env", &spec->suite.env);
    if (r == 0)
        r = check_env(ld, "coverage.env", &spec->coverage.env);
    return r < 0 ? r : check_env(ld, "prepare.env", &spec->prepare.env);
}

/* A file below stacks/ that the stack refers to. */
static int read_part(struct loading *ld, const char *where, const char *name, const char **ret, size_t *ret_len)
{
    struct err inner;
    const char *path = WHERE(ld, "stacks/%s", name);
    if (share_read(&ld->stack->arena, path, ld->override_dirs, ret, ret_len, &inner) < 0)
        return yaml_fault(ld->yaml, where, ld->err, "is \"%.100s\": %s", name, inner.text);
    return 0;
}

static int load_scaffold(struct loading *ld)
{
    struct stack *s = ld->stack;
    s->scaffold_count = s->spec.scaffold.count;
    s->scaffold = ARENA_ARRAY(&s->arena, struct tree_change, s->scaffold_count);
    for (size_t i = 0; i < s->scaffold_count; i++) {
        const struct stack_scaffold_file *f = (const struct stack_scaffold_file *)s->spec.scaffold.items + i;
        struct err inner;
        if (path_check(f->path, &inner) < 0)
            return yaml_fault(ld->yaml, WHERE(ld, "scaffold[%zu].path", i), ld->err, "cannot be used: %s", inner.text);
        if (*f->text && *f->from)
            return yaml_fault(ld->yaml, WHERE(ld, "scaffold[%zu].from", i), ld->err, "is given beside text; one of them is enough");
        const char *bytes = f->text;
        size_t len = strlen(bytes);
        int r = *f->from ? read_part(ld, WHERE(ld, "scaffold[%zu].from", i), f->from, &bytes, &len) : 0;
        if (r < 0)
            return r;
        s->scaffold[i] = (struct tree_change){ f->path, bytes, len, f->executable };
    }
    return 0;
}

static int load_runners(struct loading *ld)
{
    struct stack *s = ld->stack;
    s->runner_count = s->spec.suite.runners.count;
    s->runners = ARENA_ARRAY(&s->arena, struct tree_change, s->runner_count);
    for (size_t i = 0; i < s->runner_count; i++) {
        const char *name = s->spec.suite.runners.items[i], *bytes;
        size_t len;
        int r = read_part(ld, WHERE(ld, "suite.runners[%zu]", i), name, &bytes, &len);
        if (r < 0)
            return r;
        const char *slash = strrchr(name, '/');
        s->runners[i] = (struct tree_change){ slash ? slash + 1 : name, bytes, len, true };
    }
    return 0;
}

/* Takes over what the stack named by `extends` says and this one does not. */
static int inherit(struct loading *ld)
{
    struct stack *s = ld->stack;
    const char *parent = json_text_of(yaml_json(ld->yaml, &s->arena), "extends", "");
    if (!*parent)
        return 0;
    if (!is_stack_name(parent))
        return yaml_fault(ld->yaml, "extends", ld->err, "is not the name of a stack");
    const char *path = WHERE(ld, "stacks/%s.yaml", parent), *text;
    size_t len;
    int r = read_part(ld, "extends", path + strlen("stacks/"), &text, &len);
    struct yaml *base;
    if (r == 0)
        r = yaml_parse(&s->arena, share_where(&s->arena, path, ld->override_dirs), text, len, &base, ld->err);
    if (r == 0)
        yaml_inherit(ld->yaml, base, &s->arena);
    return r;
}

static int load_all(struct loading *ld, const char *name)
{
    struct stack *s = ld->stack;
    int r = inherit(ld);
    if (r == 0)
        r = yaml_record(ld->yaml, &s->arena, &stack_record, &s->spec, ld->err);
    if (r == 0 && !streq(s->spec.name, name))
        r = yaml_fault(ld->yaml, "name", ld->err, "is \"%s\", but the file is called %s.yaml", s->spec.name, name);
    if (r == 0)
        r = check_listing(ld);
    if (r == 0)
        r = check_rules(ld);
    if (r == 0)
        r = check_other_patterns(ld);
    if (r == 0)
        r = check_commands(ld);
    if (r == 0)
        r = load_scaffold(ld);
    return r < 0 ? r : load_runners(ld);
}

int stack_parse(struct stack **ret, const char *name, const char *text, size_t len,
                const char *const *override_dirs, struct err *e)
{
    struct stack *s = xcalloc(1, sizeof *s);
    arena_init(&s->arena);
    s->version = ARENA_NEW(&s->arena, struct stack_version);
    pthread_mutex_init(&s->version->lock, NULL);
    struct yaml *yaml;
    const char *where = share_where(&s->arena, arena_printf(&s->arena, "stacks/%s.yaml", name), override_dirs);
    int r = yaml_parse(&s->arena, where, text, len, &yaml, e);
    if (r == 0) {
        struct loading ld = { .stack = s, .yaml = yaml, .override_dirs = override_dirs, .err = e };
        r = load_all(&ld, name);
    }
    if (r < 0) {
        stack_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int stack_load(struct stack **ret, const char *name, const char *const *override_dirs, struct err *e)
{
    ARENA_LOCAL(a);
    if (!is_stack_name(name))
        return err_set(e, ERR_INVALID, "\"%.60s\" is not the name of a stack: small letters, digits and '-'", name);
    const char *text;
    size_t len;
    int r = share_read(&a, arena_printf(&a, "stacks/%s.yaml", name), override_dirs, &text, &len, e);
    if (r == ERR_NOT_FOUND) {
        struct texts known = { 0 };
        stack_names(&a, override_dirs, &known, NULL);
        return err_set(e, ERR_NOT_FOUND, "there is no stack \"%s\"; known are: %s", name, texts_join(&known, &a, ", ", 0));
    }
    return r < 0 ? r : stack_parse(ret, name, text, len, override_dirs, e);
}

void stack_free(struct stack *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->version->lock);
    arena_release(&s->arena);
    free(s);
}

int stack_names(struct arena *a, const char *const *override_dirs, struct texts *ret, struct err *e)
{
    struct texts paths, names = { 0 };
    int r = share_list(a, "stacks/", override_dirs, &paths, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < paths.count; i++) {
        const char *name = paths.items[i] + strlen("stacks/");
        if (!strchr(name, '/') && ends_with(name, ".yaml"))
            texts_add(&names, a, arena_strndup(a, name, strlen(name) - strlen(".yaml")));
    }
    texts_sort(&names);
    *ret = names;
    return 0;
}
