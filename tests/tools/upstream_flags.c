/* upstream_flags.c - the command line of the fake model server, in llama-server's words. */
#include "fake.h"
#include "fake_flags.h"

#include <stdio.h>
#include <stdlib.h>

/* Of llama-server: names, value, help.  The last name is the one to ask for. */
static const struct row {
    const char *names, *value, *help;
} rows[] = {
    { "-h,    --help", NULL, "print usage and exit" },
    { "-t,    --threads", "N", "number of CPU threads to use during generation (default: -1)" },
    { "-tb,   --threads-batch", "N", "number of threads to use during batch and prompt processing" },
    { "-c,    --ctx-size", "N", "size of the prompt context (default: 0, 0 = loaded from model)" },
    { "-b,    --batch-size", "N", "logical maximum batch size (default: 2048)" },
    { "-ub,   --ubatch-size", "N", "physical maximum batch size (default: 512)" },
    { "-fa,   --flash-attn", "[on|off|auto]", "set Flash Attention use" },
    { "-ngl,  --gpu-layers, --n-gpu-layers", "N", "max. number of layers to store in VRAM" },
    { "-m,    --model", "FNAME", "model path to load" },
    { "--offline", NULL, "Offline mode: forces use of cache, prevents network access" },
    { "-cram, --cache-ram", "N", "set the maximum cache size in MiB (default: 8192)" },
    { "-ctxcp, --swa-checkpoints, --ctx-checkpoints", "N", "max number of context checkpoints to create per slot (default: 32)" },
    { "--pooling", "{none,mean,cls,last,rank}", "pooling type for embeddings" },
    { "-np,   --parallel", "N", "number of server slots (default: -1, -1 = auto)" },
    { "-a,    --alias", "STRING", "set model name aliases, comma-separated (to be used by API)" },
    { "--host", "HOST", "IP addresses to listen on, comma-separated, or UNIX socket paths" },
    { "--port", "PORT", "port to listen (default: 8080)" },
    { "--ui,  --webui", NULL, "whether to enable the Web UI (default: enabled)" },
    { "--no-ui, --no-webui", NULL, "" },
    { "--embedding, --embeddings", NULL, "restrict to only support embedding use case" },
    { "--api-key", "KEY", "API key to use for authentication" },
    { "-to,   --timeout", "N", "server read/write timeout in seconds (default: 3600)" },
    { "--cache-reuse", "N", "min chunk size to attempt reusing from the cache via KV shifting" },
    { "--metrics", NULL, "enable prometheus compatible metrics endpoint (default: disabled)" },
    { "--slot-save-path", "PATH", "path to save slot kv cache (default: disabled)" },
    { "--jinja", NULL, "whether to use jinja template engine for chat (default: enabled)" },
    { "--no-warmup", NULL, "" },
    { "--no-mmap", NULL, "" },
    { "--mlock", NULL, "" },
    { "-s,    --seed", "SEED", "RNG seed (default: -1, use random seed for -1)" },
    /* Ours. */
    { "--as", "POSE", "llama-server, vllm, ollama" },
    { "--script", "FILE", "what the fake shall do (also: UPSTREAM_SCRIPT)" },
    { "--log", "FILE", "what the fake saw (also: UPSTREAM_LOG)" },
};
enum { ROWS = sizeof rows / sizeof *rows };
static const char *values[ROWS];

/* The row that has this name, or whose last name it is. */
static size_t find(const char *flag, bool last_only)
{
    size_t len = strlen(flag);
    for (size_t i = 0; i < ROWS; i++)
        for (const char *at = rows[i].names; *at; at += strspn(at, ", ")) {
            size_t n = strcspn(at, ",");
            if (n == len && strncmp(at, flag, n) == 0 && (!last_only || !at[n]))
                return i;
            at += n;
        }
    return ROWS;
}

static void print_help(void)
{
    printf("----- common params -----\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        int n = printf("%s%s%s", rows[i].names, rows[i].value ? " " : "", rows[i].value ? rows[i].value : "");
        printf("%*s%s\n", n < 40 ? 40 - n : 1, "", rows[i].help);
    }
}

static void wrong_value(const char *flag, const char *why)
{
    fprintf(stderr, "error while handling argument \"%s\": %s\n\n", flag, why);
    exit(1);
}

void flags_read(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t row = find(argv[i], false);
        if (row == ROWS) {
            fprintf(stderr, "error: invalid argument: %s\n", argv[i]);
            exit(1);
        }
        if (!rows[row].value)
            values[row] = "";
        else if (i + 1 == argc)
            wrong_value(argv[i], "expected value for argument");
        else
            values[row] = argv[++i];
    }
    if (flag_is_given("--help")) {
        print_help();
        exit(0);
    }
}

bool flag_is_given(const char *flag)
{
    return flag_text(flag, NULL) != NULL;
}

const char *flag_text(const char *flag, const char *fallback)
{
    size_t row = find(flag, true);
    return row < ROWS && values[row] ? values[row] : fallback;
}

int64_t flag_number(const char *flag, int64_t fallback)
{
    long long n;
    const char *text = flag_text(flag, NULL);
    if (!text)
        return fallback;
    if (!parse_int(text, INT32_MIN, INT32_MAX, &n))
        wrong_value(flag, "stoi");
    return n;
}
