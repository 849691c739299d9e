/* fuzz_stack.c - stack files, on any bytes: as YAML, and as a description of a stack.
 *
 * What loads is used: its patterns meet a text, so that their limits are tried too.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/yaml.h"
#include "repo/stack.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses an accumulator of a few KiB on some texts that it refuses. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static void use(const struct stack *s, struct arena *a)
{
    static const char text[] = "class T:\n    def test_a(self): pass  # '\"x\"'\nTEST(a) { }\nAssertionError: 1 != 2\n"
                               "describe('a \\'b\\'', () => {\n  it(`c`, () => {});\n});\n    at a.py:1\n";
    static const char *const paths[] = { "tests/test_a.py", "tests/a.test.js" };
    struct err e;
    struct texts ids;
    struct failure failure;
    struct tree_change file = { .path = "a.py", .bytes = text, .len = sizeof text - 1 };
    for (size_t i = 0; i < 2; i++) {
        if (stack_list_tests(s, a, paths[i], text, sizeof text - 1, &ids, &e) < 0)
            abort();
        stack_added_only(s, a, paths[i], text, sizeof text / 2, text, sizeof text - 1);
    }
    stack_judge(s, stack_sources_make(s, a, &file, 1), a, text, &failure);
    if (failure.kind < 0 || failure.kind > FAILURE_FAULT || !failure.reason || !failure.advice)
        abort();
    const char *stripped = stack_strip(s, a, text, sizeof text - 1);
    if (!utf8_valid(stripped, strlen(stripped), NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_LOCAL(a);
    struct err e = { 0 };
    struct yaml *y;
    if (yaml_parse(&a, "x.yaml", (const char *)data, size, &y, &e) == 0) {
        STR_LOCAL(out);
        json_write(&out, yaml_json(y, &a));
    }
    struct stack *s;
    if (stack_parse(&s, "mine", (const char *)data, size, NULL, &e) == 0) {
        use(s, &a);
        stack_free(s);
    } else if (!utf8_valid(e.text, strlen(e.text), NULL)) {
        abort();
    }
    return 0;
}
