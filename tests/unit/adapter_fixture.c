/* adapter_fixture.c - see adapter_fixture.h.  A folder is filled as `tandem adapter new` fills one. */
#include "check.h"
#include "adapter_fixture.h"

#include "os/share.h"

#include <sys/stat.h>

static struct sandbox *sandbox;

struct sandbox *adapter_sandbox(void)
{
    struct err e;
    if (!sandbox)
        check_ok(sandbox_open(&sandbox, SANDBOX_BWRAP, NULL, &e), &e);
    return sandbox;
}

int adapter_sandbox_close(void **state)
{
    (void)state;
    sandbox_free(sandbox);
    sandbox = NULL;
    return 0;
}

const char *adapter_template(struct scratch *room, const char *language, const char *name)
{
    const char *prefix = arena_printf(&room->arena, "adapters/%s/", language), *text;
    struct texts files;
    size_t len;
    struct err e;
    check_ok(share_list(&room->arena, prefix, NULL, &files, &e), &e);
    for (size_t i = 0; i < files.count; i++) {
        check_ok(share_read(&room->arena, files.items[i], NULL, &text, &len, &e), &e);
        scratch_write(room, arena_printf(&room->arena, "%s/%s", name, files.items[i] + strlen(prefix)), text);
    }
    if (streq(language, "c"))
        scratch_sh(room, arena_printf(&room->arena, "make -s -C %s CFLAGS=-O0", name));
    else
        scratch_sh(room, arena_printf(&room->arena, "chmod +x %s/adapter", name));
    return scratch_path(room, "%s", name);
}

const char *adapter_program(struct scratch *room, const char *name, const char *text, int mode)
{
    scratch_write(room, arena_printf(&room->arena, "%s/adapter", name), text);
    assert_int_equal(chmod(scratch_path(room, "%s/adapter", name), (mode_t)mode), 0);
    return scratch_path(room, "%s", name);
}

const char *adapter_script(struct scratch *room, const char *name, const char *hello, const char *python)
{
    STR_LOCAL(text);
    str_add(&text, "#!/usr/bin/env python3\n"
                   "import json, os, sys, time\n"
                   "def say(**line):\n"
                   "    print(json.dumps(line), flush=True)\n"
                   "def hear():\n"
                   "    text = sys.stdin.readline()\n"
                   "    if not text:\n"
                   "        sys.exit(0)\n"
                   "    return json.loads(text)\n"
                   "def hello(**more):\n"
                   "    say(**{'type': 'hello', 'protocol': 1, 'name': 'toy', 'context': 1000, 'can': ['chat'], **more})\n");
    if (hello)
        str_addf(&text, "hello(%s)\n", hello);
    str_add(&text, python);
    return adapter_program(room, name, text.data, 0755);
}

struct adapter_options adapter_options_for(const char *folder)
{
    return (struct adapter_options){ .sandbox = adapter_sandbox(), .folder = folder, .file = "", .memory_mib = 512 };
}
