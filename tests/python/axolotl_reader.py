"""Has Axolotl's prompt strategies read what a twin gives: what they would train on is the answer and its end token.

Usage: axolotl_reader.py --base MODEL --dataset EXPORT
"""

import argparse
import json
from pathlib import Path

from axolotl.prompt_strategies.chat_template import load
from axolotl.prompt_strategies.dpo.chat_template import default
from axolotl.utils.dict import DictDefault
from transformers import AutoTokenizer

# As in a configuration file of Axolotl.
SFT = {"path": "sft", "type": "chat_template", "field_messages": "messages"}
DPO = {"path": "preference", "type": "chat_template.default", "field_messages": "prompt"}
SETTINGS = {"train_on_inputs": False, "sequence_len": 8192, "chat_template": "tokenizer_default"}
IGNORED = -100


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_sft(tokenizer, folder):
    strategy = load(tokenizer, DictDefault(SETTINGS), ds_cfg=DictDefault(SFT))
    count = 0
    for sample in (sample for path in sorted(folder.glob("*.jsonl")) for sample in lines(path)):
        read = strategy.tokenize_prompt(sample)
        learned = [token for token, label in zip(read["input_ids"], read["labels"]) if label != IGNORED]
        wanted = sample["messages"][-1]["content"] + tokenizer.eos_token
        assert tokenizer.decode(learned) == wanted, f"{tokenizer.decode(learned)!r} is not {wanted!r}"
        count += 1
    return count


def read_preferences(tokenizer, folder):
    transform, _ = default(DictDefault({**SETTINGS, "datasets": [DPO]}))
    count = 0
    for sample in (sample for path in sorted(folder.glob("*.jsonl")) for sample in lines(path)):
        read = transform(sample, tokenizer=tokenizer)
        prompt = tokenizer.apply_chat_template(sample["prompt"], add_generation_prompt=True, tokenize=False)
        assert read["prompt"] == prompt, read["prompt"]
        for side in ("chosen", "rejected"):
            assert read[side] == sample[side][0]["content"] + tokenizer.eos_token, read[side]
        count += 1
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    samples = read_sft(tokenizer, arguments.dataset / "sft")
    preferences = read_preferences(tokenizer, arguments.dataset / "preference")
    assert samples and preferences, f"{samples} samples, {preferences} preferences"
    print(f"Axolotl reads {samples} samples and {preferences} preferences as they are")


main()
