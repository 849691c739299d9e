#!/usr/bin/env python3
"""Makes a tiny model with random weights and a real vocabulary, which a real server loads.

    tests/peers/tiny_model.py OUT.gguf --vocabulary ggml-vocab-qwen2.gguf [--layers 2] ...

What it says is nonsense, but it says it fast, always the same for the same seed and prompt,
and everything around it is real: tokens, template, context, slots, grammar, embeddings.
Source: the GGUF specification (ggml, docs/gguf.md), and the names of tensors that llama.cpp
expects of the architecture "llama".
"""
import argparse
import pathlib
import random
import struct

UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, UINT32: 4, 5: 4, FLOAT32: 4, 7: 1, 10: 8, 11: 8, 12: 8}
F32, F16, Q4_0 = 0, 1, 2
FILE_TYPES = {F16: 1, Q4_0: 2}
POOLINGS = {"none": 0, "mean": 1, "cls": 2, "last": 3}
BROKEN = ("architecture", "truncated", "tensor")
ALIGNMENT = 32

TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


# ---- reading: the vocabulary of another file ----

def skip_value(data, at, kind):
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != ARRAY:
        return at + WIDTHS[kind]
    item, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if item in WIDTHS:
        return at + count * WIDTHS[item]
    for _ in range(count):
        at = skip_value(data, at, item)
    return at


def vocabulary(path):
    """Returns (the keys that begin with "tokenizer.", as bytes; how many; how many words)."""
    data = pathlib.Path(path).read_bytes()
    count, at = struct.unpack_from("<Q", data, 16)[0], 24
    kept, number, words = [], 0, 0
    for _ in range(count):
        begin = at
        length = struct.unpack_from("<Q", data, at)[0]
        name = data[at + 8:at + 8 + length].decode()
        kind = struct.unpack_from("<I", data, at + 8 + length)[0]
        value = at + 12 + length
        at = skip_value(data, value, kind)
        if name.startswith("tokenizer.") and name != "tokenizer.chat_template":
            kept.append(data[begin:at])
            number += 1
        if name == "tokenizer.ggml.tokens":
            words = struct.unpack_from("<Q", data, value + 4)[0]
    return b"".join(kept), number, words


# ---- writing ----

def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name, value):
    if isinstance(value, str):
        return text(name) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return text(name) + struct.pack("<If", FLOAT32, value)
    return text(name) + struct.pack("<II", UINT32, value)


class Weights:
    """Random numbers of the usual size, quickly: every row is a place of its own on one long strip."""
    PLACES = 1 << 18  # more than any vocabulary has words: two equal words would be equally likely

    def __init__(self, seed, kind, width):
        self.random = random.Random(seed)
        scale = 1.5 / width ** 0.5
        if kind == F16:
            self.strip, self.unit = b"".join(struct.pack("<e", self.random.gauss(0, scale)) for _ in range(self.PLACES)), 2
        else:
            block = struct.pack("<e", scale / 4)
            self.strip, self.unit = b"".join(block + self.random.randbytes(16) for _ in range(self.PLACES)), 18

    def rows(self, kind, width, count):
        if kind == F32:
            return struct.pack("<f", 1.0) * (width * count)
        length = (width if kind == F16 else width // 32) * self.unit
        places = self.random.sample(range(self.PLACES - length // self.unit), count)
        return b"".join(self.strip[self.unit * p:self.unit * p + length] for p in places)


def tensors(o, words):
    """[(name, kind, width, rows)]."""
    head, keys = o.embedding // o.heads * o.heads, o.embedding // o.heads * o.kv_heads
    some = [("token_embd.weight", o.kind, o.embedding, words), ("output_norm.weight", F32, o.embedding, 1)]
    for i in range(o.layers):
        some += [(f"blk.{i}.{name}.weight", kind, width, rows) for name, kind, width, rows in (
            ("attn_norm", F32, o.embedding, 1), ("attn_q", o.kind, o.embedding, head),
            ("attn_k", o.kind, o.embedding, keys), ("attn_v", o.kind, o.embedding, keys),
            ("attn_output", o.kind, head, o.embedding), ("ffn_norm", F32, o.embedding, 1),
            ("ffn_gate", o.kind, o.embedding, o.inner), ("ffn_up", o.kind, o.embedding, o.inner),
            ("ffn_down", o.kind, o.inner, o.embedding))]
    return some


def keys(o):
    some = {
        "general.architecture": "nosuch" if o.broken == "architecture" else "llama", "general.type": "model",
        "general.name": o.name, "general.file_type": FILE_TYPES[o.kind],
        "llama.block_count": o.layers, "llama.context_length": o.context, "llama.embedding_length": o.embedding,
        "llama.feed_forward_length": o.inner, "llama.attention.head_count": o.heads,
        "llama.attention.head_count_kv": o.kv_heads, "llama.rope.freq_base": 10000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
    }
    if o.template:
        some["tokenizer.chat_template"] = o.template
    if o.pooling:
        some["llama.pooling_type"] = POOLINGS[o.pooling]
    return some


DEFAULTS = {"name": "Tiny", "layers": 2, "embedding": 64, "inner": 128, "heads": 4, "kv_heads": 2, "context": 2048, "seed": 1,
            "kind": F16, "pooling": None, "template": TEMPLATE, "broken": None}


def write(out, vocabulary_file, **options):
    """Makes the file; options are those of DEFAULTS.  broken: one of BROKEN."""
    unknown = set(options) - set(DEFAULTS)
    assert not unknown, unknown
    o = argparse.Namespace(**{**DEFAULTS, **options})
    words_keys, words_count, words = vocabulary(vocabulary_file)
    ours = keys(o)
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors(o, words)), len(ours) + words_count)]
    head += [key(name, value) for name, value in ours.items()] + [words_keys]
    weights, data = Weights(o.seed, o.kind, o.embedding), []
    at = 0
    for name, kind, width, rows in tensors(o, words):
        shape = [width, rows] if rows > 1 else [width]
        if o.broken == "tensor" and name == "blk.0.attn_q.weight":
            name = "blk.0.nosuch.weight"
        head.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, at))
        row = weights.rows(kind, width, rows)
        data += [row, bytes(-len(row) % ALIGNMENT)]
        at += len(row) + len(data[-1])
    begin = b"".join(head)
    whole = begin + bytes(-len(begin) % ALIGNMENT) + b"".join(data)
    pathlib.Path(out).write_bytes(whole[:len(whole) * 2 // 3] if o.broken == "truncated" else whole)
    return pathlib.Path(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--vocabulary", required=True, help="a GGUF file to take it from")
    for name in ("layers", "embedding", "inner", "heads", "kv_heads", "context", "seed"):
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=DEFAULTS[name])
    parser.add_argument("--name", default=DEFAULTS["name"])
    parser.add_argument("--kind", choices=("f16", "q4_0"), default="f16", help="how the weights are stored")
    parser.add_argument("--pooling", choices=POOLINGS, help="makes it an embedding model")
    parser.add_argument("--template", default=TEMPLATE, help="of chats; empty: none")
    parser.add_argument("--broken", choices=BROKEN)
    options = vars(parser.parse_args())
    options["kind"] = {"f16": F16, "q4_0": Q4_0}[options["kind"]]
    write(options.pop("out"), options.pop("vocabulary"), **options)


if __name__ == "__main__":
    main()
