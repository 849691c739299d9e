/* fuzz_stack.c - YAML files that people write, on any bytes. */
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses an accumulator of a few KiB on some texts that it refuses. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
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
    return 0;
}
