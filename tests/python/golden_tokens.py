"""Writes the tokens that Transformers gives conversations, for the tests of what models are trained on and asked with.

Usage: golden_tokens.py --family NAME=MODEL... --golden FOLDER

FOLDER has conversations.json: prompts and answers. For each family NAME.json is written there: of each conversation all
tokens up to the one that ends the answer, and where the answer begins.
"""

import argparse
import json
from pathlib import Path

import transformers
from jinja2.exceptions import TemplateError

# The day that templates are told.
DATE = "26 Jul 2024"


def rendered(tokenizer, messages, answer_follows):
    return tokenizer.apply_chat_template(
        messages,
        tokenize=False,
        add_generation_prompt=answer_follows,
        enable_thinking=False,
        date_string=DATE,
    )


def tokens_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


SYSTEM, USER, ANSWER = ({"role": role, "content": role} for role in ("system", "user", "assistant"))


def place_of_system(tokenizer):
    """Where a template without a place for what the system says has it: in the first turn, as nothing else is known, or in
    the last one, where Mistral v0.3's has it as long as that is not answered. None where the template has a place."""
    try:
        is_asked = SYSTEM["content"] in rendered(tokenizer, [SYSTEM, USER], True)
    except TemplateError:
        return 0
    if not is_asked:
        return 0
    return None if SYSTEM["content"] in rendered(tokenizer, [SYSTEM, USER, ANSWER], False) else -1


def without_system(messages, place):
    """The messages with what the system says before the user's words."""
    told = [message["content"] for message in messages if message["role"] == "system"]
    others = [dict(message) for message in messages if message["role"] != "system"]
    if told if place == -1 else any(told):
        turn = [message for message in others if message["role"] == "user"][place]
        turn["content"] = "\n\n".join([*told, turn["content"]])
    return others


def answered(tokenizer, prompt, asked_text, answer):
    """The text of a conversation with its answer. Where the template makes something else of the answer (Qwen3's looks for
    thoughts in it), the answer stands where a plain one would."""
    text = rendered(tokenizer, [*prompt, {**ANSWER, "content": answer}], False)
    if not text.startswith(asked_text):
        plain = rendered(tokenizer, [*prompt, ANSWER], False)
        assert plain.startswith(asked_text), f"{plain!r} does not begin with {asked_text!r}"
        text = asked_text + plain[len(asked_text) :].replace(ANSWER["content"], answer, 1)
    return text


def golden(tokenizer, conversation):
    """All tokens up to the end of the answer, and the number of those of the prompt."""
    prompt = conversation["prompt"]
    place = place_of_system(tokenizer)
    folded = prompt if place is None else without_system(prompt, place)
    asked_text = rendered(tokenizer, folded if place == 0 else prompt, True)
    text = answered(tokenizer, folded, asked_text, conversation["answer"])
    asked, tokens = tokens_of(tokenizer, asked_text), tokens_of(tokenizer, text)
    joint = tokens[: len(asked)] == asked
    if not joint:
        # A token would be of both. The model is asked with the prompt's own tokens, whatever follows.
        tokens = asked + tokens_of(tokenizer, text[len(asked_text) :])
    end = tokenizer.eos_token_id
    if end not in tokens[len(asked) :]:
        tokens.append(end)
    tokens = tokens[: tokens.index(end, len(asked)) + 1]
    return {"name": conversation["name"], "completion": len(asked), "joint": joint, "tokens": tokens}


def written(family):
    """One conversation a line."""
    lines = ",\n".join(json.dumps(sequence, ensure_ascii=False) for sequence in family["sequences"])
    head = json.dumps({key: value for key, value in family.items() if key != "sequences"}, ensure_ascii=False)
    return f'{head[:-1]}, "sequences": [\n{lines}\n]}}\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", required=True, metavar="NAME=MODEL")
    parser.add_argument("--golden", type=Path, required=True)
    asked = parser.parse_args()
    conversations = json.loads((asked.golden / "conversations.json").read_text(encoding="utf-8"))
    for name, model in (family.split("=", 1) for family in asked.family):
        # As `tokenizer.json` has it. Transformers 5 has classes of its own that build another of the vocabulary, by which SmolLM2
        # would be asked with tokens that it was not trained on (` ½`).
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(model)
        family = {
            "written_by": f"transformers {transformers.__version__}",
            "sequences": [golden(tokenizer, conversation) for conversation in conversations],
        }
        (asked.golden / f"{name}.json").write_text(written(family), encoding="utf-8")
        apart = [sequence["name"] for sequence in family["sequences"] if not sequence["joint"]]
        print(f"{name}: {len(conversations)} conversations, answers apart from prompts: {apart}")


if __name__ == "__main__":
    main()
