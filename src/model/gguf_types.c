/* gguf_types.c - the numbers that stand for kinds of things in GGUF files.
 *
 * Source: enum ggml_type and the static assertions on block sizes in ggml-common.h; enum
 * llama_ftype and enum llama_pooling_type in llama.h.  They only ever grow at the end, so a
 * number beyond a table is something newer, not damage.
 */
#include "model/gguf_internal.h"

#include <strings.h>

static const struct gguf_tensor_type tensor_types[] = {
    { "F32", 1, 4 },
    { "F16", 1, 2 },
    { "Q4_0", 32, 18 },
    { "Q4_1", 32, 20 },
    { "Q4_2", 0, 0 },
    { "Q4_3", 0, 0 },
    { "Q5_0", 32, 22 },
    { "Q5_1", 32, 24 },
    { "Q8_0", 32, 34 },
    { "Q8_1", 32, 36 },
    { "Q2_K", 256, 84 },
    { "Q3_K", 256, 110 },
    { "Q4_K", 256, 144 },
    { "Q5_K", 256, 176 },
    { "Q6_K", 256, 210 },
    { "Q8_K", 256, 292 },
    { "IQ2_XXS", 256, 66 },
    { "IQ2_XS", 256, 74 },
    { "IQ3_XXS", 256, 98 },
    { "IQ1_S", 256, 50 },
    { "IQ4_NL", 32, 18 },
    { "IQ3_S", 256, 110 },
    { "IQ2_S", 256, 82 },
    { "IQ4_XS", 256, 136 },
    { "I8", 1, 1 },
    { "I16", 1, 2 },
    { "I32", 1, 4 },
    { "I64", 1, 8 },
    { "F64", 1, 8 },
    { "IQ1_M", 256, 56 },
    { "BF16", 1, 2 },
    { "Q4_0_4_4", 0, 0 },
    { "Q4_0_4_8", 0, 0 },
    { "Q4_0_8_8", 0, 0 },
    { "TQ1_0", 256, 54 },
    { "TQ2_0", 256, 66 },
    { "IQ4_NL_4_4", 0, 0 },
    { "IQ4_NL_4_8", 0, 0 },
    { "IQ4_NL_8_8", 0, 0 },
    { "MXFP4", 32, 17 },
    { "NVFP4", 64, 36 },
    { "Q1_0", 128, 18 },
    { "Q2_0", 64, 18 },
};

static const char *const file_types[] = {
    "F32", "F16", "Q4_0", "Q4_1", "Q4_1_F16", "Q4_2", "Q4_3", "Q8_0", "Q5_0", "Q5_1",
    "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ2_XXS",
    "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M", "IQ2_S", "IQ2_M",
    "IQ4_XS", "IQ1_M", "BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "MXFP4_MOE", "NVFP4",
    "Q1_0", "Q2_0",
};

static const char *const poolings[] = { "none", "mean", "cls", "last", "rank" };

#define LENGTH(table) (sizeof(table) / sizeof *(table))

const struct gguf_tensor_type *gguf_tensor_type(uint32_t type)
{
    return type < LENGTH(tensor_types) ? &tensor_types[type] : NULL;
}

const struct gguf_tensor_type *gguf_tensor_type_named(const char *name)
{
    for (size_t i = 0; i < LENGTH(tensor_types); i++)
        if (tensor_types[i].bytes && strcasecmp(tensor_types[i].name, name) == 0)
            return &tensor_types[i];
    return NULL;
}

const char *gguf_file_type(int64_t type)
{
    return type >= 0 && type < (int64_t)LENGTH(file_types) ? file_types[type] : NULL;
}

const char *gguf_pooling(struct arena *a, int64_t type)
{
    if (type < 0)
        return "";
    return type < (int64_t)LENGTH(poolings) ? poolings[type] : arena_printf(a, "type %lld", (long long)type);
}
