/* The repository map: symbols by real ctags in the real sandbox, ranking, budget. */
#include "check.h"
#include "git_fixture.h"

#include "base/str.h"
#include "repo/map.h"
#include "repo/stack.h"

static struct map built(struct fixture *f, const struct oid *tree)
{
    struct map m;
    check_ok(map_build(f->r, fixture_sandbox, tree, &f->s.arena, &m, &f->e), &f->e);
    return m;
}

static struct oid sample_tree(struct fixture *f)
{
    struct oid empty = { "" };
    return TREE(f, &empty, "src/units.h", "#ifndef U\n#define U\nstruct unit { int factor; };\ndouble convert(double value, char unit);\n#endif\n",
                "src/units.c", "#include \"units.h\"\n\ndouble convert(double value, char unit)\n{\n    int local = unit;\n    return value * local;\n}\n",
                "table.py", "LIMIT = 3\n\n\nclass HttpTable:\n    def addRow(self, row, *, at=None):\n        pass\n\n\ndef load_table(path):\n    return HttpTable()\n",
                "README.md", "# Units\n\n## convert\n", "data.bin", "\x01\x02\x03", "empty.py", "", "bad.py", "\xff\xfe def x(:\n");
}

static void symbols_have_signatures_scopes_and_lines(void **state)
{
    struct fixture *f = *state;
    struct oid tree = sample_tree(f);
    struct map m = built(f, &tree);
    assert_int_equal(m.count, 7);
    const struct map_symbol *s = map_symbol_find(&m, "src/units.c", "convert");
    assert_non_null(s);
    assert_string_equal(s->kind, "function");
    assert_string_equal(s->type, "double");
    assert_string_equal(s->signature, "(double value,char unit)");
    assert_int_equal(s->line, 3);
    assert_int_equal(s->end_line, 7);
    assert_string_equal(map_symbol_find(&m, "src/units.h", "convert")->kind, "prototype");
    assert_null(map_symbol_find(&m, "src/units.c", "local"));
    s = map_symbol_find(&m, "table.py", "HttpTable.addRow");
    assert_non_null(s);
    assert_string_equal(s->scope, "HttpTable");
    assert_string_equal(s->signature, "(self, row, *, at=None)");
    assert_ptr_equal(s, map_symbol_find(&m, "table.py", "addRow"));
    assert_ptr_equal(s, map_symbol_find(&m, "table.py", "HttpTable::addRow"));
    assert_null(map_symbol_find(&m, "table.py", "HttpTable.load_table"));
    assert_null(map_symbol_find(&m, "gone.py", "x"));
    assert_int_equal(map_find(&m, "README.md")->count, 0);
    assert_int_equal(map_find(&m, "empty.py")->size, 0);
    assert_null(map_find(&m, "gone.py"));
}

static void an_unchanged_file_is_not_parsed_again(void **state)
{
    struct fixture *f = *state;
    struct oid tree = sample_tree(f);
    struct map m = built(f, &tree);
    /* Without a sandbox only what is cached can be had. */
    struct map again;
    check_ok(map_build(f->r, NULL, &tree, &f->s.arena, &again, &f->e), &f->e);
    assert_int_equal(again.count, m.count);
    assert_string_equal(map_symbol_find(&again, "table.py", "addRow")->signature, "(self, row, *, at=None)");
    struct oid changed = TREE(f, &tree, "table.py", "def other(): pass\n");
    m = built(f, &changed);
    assert_null(map_symbol_find(&m, "table.py", "addRow"));
    assert_non_null(map_symbol_find(&m, "table.py", "other"));
}

static void the_language_is_part_of_what_is_cached(void **state)
{
    struct fixture *f = *state;
    struct oid empty = { "" }, tree = TREE(f, &empty, "a.py", "def same(): pass\n", "a.txt", "def same(): pass\n");
    struct map m = built(f, &tree);
    assert_int_equal(map_find(&m, "a.py")->count, 1);
    assert_int_equal(map_find(&m, "a.txt")->count, 0);
}

static void the_whole_map_reads_well(void **state)
{
    struct fixture *f = *state;
    struct oid tree = sample_tree(f);
    struct map m = built(f, &tree);
    const char *text = map_render(&m, &f->s.arena, "convert units", 2000);
    assert_string_equal(text,
        "README.md\nbad.py\n  x(:\ndata.bin\nempty.py\n"
        "src/units.c\n  double convert(double value,char unit)\n"
        "src/units.h\n  struct unit\n    int factor\n  double convert(double value,char unit)\n"
        "table.py\n  LIMIT\n  class HttpTable\n    addRow(self, row, *, at=None)\n  load_table(path)\n");
    assert_string_equal(map_render(&m, &f->s.arena, "", 2000), text);
}

static void types_without_a_name_are_called_as_what_they_declare(void **state)
{
    struct fixture *f = *state;
    struct oid empty = { "" };
    struct oid tree = TREE(f, &empty, "a.h", "typedef struct {\n    double value;\n    union {\n        int whole;\n    };\n"
                                             "    struct {\n        int x;\n    } at;\n} quantity;\nenum { ONE, TWO };\n"
                                             "struct outer {\n    union { int left, right; };\n};\n");
    struct map m = built(f, &tree);
    const char *text = map_render(&m, &f->s.arena, "", 2000);
    assert_string_equal(text, "a.h\n  typedef quantity\n    double value\n    int whole\n    at\n      int x\n"
                              "  ONE\n  TWO\n  struct outer\n    int left\n    int right\n");
    const struct map_symbol *s = map_symbol_find(&m, "a.h", "quantity");
    assert_int_equal(s->line, 1);
    assert_int_equal(s->end_line, 9);
}

static void javascript_is_told_by_its_exports_and_their_signatures(void **state)
{
    struct fixture *f = *state;
    struct oid empty = { "" };
    struct oid tree = TREE(f, &empty, "src/table.js",
        "import fs from 'node:fs';\n\nexport const LIMIT = 3;\nexport default async function load(path, { strict = true } = {}) {\n"
        "  return fs.promises.readFile(path).then(function (text) {\n    function inner() {}\n    return text;\n  });\n}\n\n"
        "export class Table {\n  constructor(size) {\n    this.size = size;\n  }\n\n  add(row, ...more) {}\n\n  get width() {}\n\n"
        "  static from(list) {}\n}\n\nexport const twice = (n) => 2 * n;\n",
        "src/plain.js", "export default class {\n  run(argv) {}\n}\n",
        "tests/table.test.js", "test('a', () => {});\ntest('b', function () {});\nfunction helper(x) {}\n");
    struct map m = built(f, &tree);
    assert_string_equal(map_render(&m, &f->s.arena, "", 2000),
        "src/plain.js\n  class default\n    run(argv)\n"
        "src/table.js\n  LIMIT\n  load(path, { strict = true } = {})\n  class Table\n    constructor(size)\n    add(row, ...more)\n"
        "    width()\n    from(list)\n  twice\n"
        "tests/table.test.js\n  helper(x)\n");
    const struct map_symbol *s = map_symbol_find(&m, "src/table.js", "Table.add");
    assert_int_equal(s->line, 16);
    assert_int_equal(s->end_line, 0);
    assert_int_equal(map_symbol_find(&m, "src/table.js", "LIMIT")->end_line, 3);
}

static void what_says_nothing_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct stack *s;
    check_ok(stack_load(&s, "c", NULL, &f->e), &f->e);
    struct oid empty = { "" };
    struct oid tree = TREE(f, &empty, "Makefile", "CC = cc\nall: x\nx: y\n\tcc\n",
        "src/units.h", "#ifndef UNITS_H\n#define UNITS_H\n#define LIMIT 3\n#define TWICE(x) ((x) * 2)\nint convert(int value);\n#endif\n",
        "src/units.c", "enum { LONGEST = 64 };\nstatic const struct {\n    char name;\n} units[] = { { 'a' } };\n"
        "static int twice(int a)\n{\n    return 2 * a;\n}\n",
        "tests/tap.h", "#define CHECK(x) x\nint tap(void);\n",
        "tests/test_units.c", "#include \"tap.h\"\nstatic void helper(int a)\n{\n}\n\nTEST(a_test)\n{\n}\n");
    struct map m = built(f, &tree);
    assert_non_null(map_symbol_find(&m, "tests/test_units.c", "helper"));
    map_trim(&m, s);
    assert_string_equal(map_render(&m, &f->s.arena, "", 2000),
        "Makefile\nsrc/units.c\n  LONGEST\n  units\n    char name\n  int twice(int a)\n"
        "src/units.h\n  macro LIMIT\n  macro TWICE(x)\n  int convert(int value)\n"
        "tests/tap.h\ntests/test_units.c\n  TEST(a_test)\n");
    struct map again = built(f, &tree); /* as cached */
    assert_non_null(map_symbol_find(&again, "tests/test_units.c", "helper"));
    assert_int_equal(map_find(&again, "src/units.h")->count, 3);
    map_trim(&again, s);
    assert_int_equal(map_find(&again, "tests/test_units.c")->count, 1);
    stack_free(s);
}

static struct map many_files(struct arena *a)
{
    struct map m = { ARENA_ARRAY(a, struct map_file, 300), 300 };
    for (size_t i = 0; i < m.count; i++) {
        struct map_file *file = &m.files[i];
        file->path = arena_printf(a, "src/file_%03zu.c", i);
        file->count = 5;
        file->symbols = ARENA_ARRAY(a, struct map_symbol, file->count);
        for (size_t n = 0; n < file->count; n++)
            file->symbols[n] = (struct map_symbol){ .name = arena_printf(a, i == 200 && n == 3 ? "parseTemperatureScale" : "helper_%zu", n),
                                                    .kind = "function", .type = "int", .signature = "(int value)", .scope = "" };
    }
    return m;
}

static void the_relevant_file_is_kept_within_the_budget(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct map m = many_files(&a);
    static const int64_t budgets[] = { 60, 100, 500, 2000 };
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        const char *text = map_render(&m, &a, "Read temperatures in several scales", budgets[i]);
        if (budgets[i] > 60)
            assert_non_null(strstr(text, "  int parseTemperatureScale(int value)\n"));
        assert_true((int64_t)strlen(text) <= budgets[i] * 3);
        assert_non_null(strstr(text, " files left out"));
    }
    assert_null(strstr(map_render(&m, &a, "something else", 500), "parseTemperature"));
    assert_string_equal(map_render(&m, &a, "x", 0), "");
    assert_string_equal(map_render(&m, &a, "x", -5), "");
    assert_string_equal(map_render(&(struct map){ 0 }, &a, "x", 100), "");
}

static void rendering_is_the_same_each_time(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct map m = many_files(&a);
    const char *first = map_render(&m, &a, "temperature helper 7 file", 700);
    for (int i = 0; i < 5; i++)
        assert_string_equal(map_render(&m, &a, "temperature helper 7 file", 700), first);
    STR_LOCAL(query);
    for (int i = 0; i < 20000; i++)
        str_add(&query, "words ");
    str_add(&query, "\xff\xfe aVeryLongWordWithoutHumpsaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    map_render(&m, &a, query.data, 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_repo(symbols_have_signatures_scopes_and_lines),
        with_repo(an_unchanged_file_is_not_parsed_again),
        with_repo(the_language_is_part_of_what_is_cached),
        with_repo(the_whole_map_reads_well),
        with_repo(types_without_a_name_are_called_as_what_they_declare),
        with_repo(javascript_is_told_by_its_exports_and_their_signatures),
        with_repo(what_says_nothing_is_left_out),
        cmocka_unit_test(the_relevant_file_is_kept_within_the_budget),
        cmocka_unit_test(rendering_is_the_same_each_time),
    };
    return cmocka_run_group_tests(tests, fixture_open_sandbox, fixture_close_sandbox);
}
