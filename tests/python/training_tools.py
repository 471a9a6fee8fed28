"""Has PyTorch, transformers, PEFT and TRL read what a twin gives, and compares their numbers with those of its engine.

Usage: training_tools.py --twin BINARY --base MODEL --dataset EXPORT --work FOLDER

Writes a line for each check. The first one that fails ends it with an exception.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
from pathlib import Path

import torch
from datasets import load_dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# All samples in one pack, so that each step sees all of them and their order does not matter.
RECIPE = {
    "rank": 8,
    "alpha": 16.0,
    "learning_rate": 2e-3,
    "warmup_steps": 2,
    "epochs": 6,
    "pack_tokens": 8192,
    "eval_samples": 4,
    "clip": 1.0,
    "dpo_beta": 0.1,
}
SAMPLES = 6
# Two computations in single precision whose sums are added in another order: thirty layers of them differ by some units
# of the fifth digit in a logit, and by less in a mean over many tokens.
LOSS_TOLERANCE = 1e-4
LOGIT_TOLERANCE = 2e-3
# Each step of a run begins where the other side's last one has come to.
CURVE_TOLERANCE = 2e-3


def said(what, **numbers):
    print(what + ": " + ", ".join(f"{name} {value}" for name, value in numbers.items()), flush=True)


def near(what, ours, theirs, tolerance):
    difference = abs(ours - theirs) / max(1.0, abs(theirs))
    said(what, ours=f"{ours:.6f}", theirs=f"{theirs:.6f}", difference=f"{difference:.1e}")
    assert difference <= tolerance, f"{what}: {ours} is not {theirs}"


def fingerprint(base):
    """Which base model it is: its configuration, and name, length and header of each weight file."""
    digest = hashlib.sha256((base / "config.json").read_bytes())
    for weights in sorted(base.glob("*.safetensors")):
        with weights.open("rb") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
        digest.update(weights.name.encode() + weights.stat().st_size.to_bytes(8, "little") + header)
    return digest.hexdigest()


class Twin:
    """The binary's training jobs, by the order that a supervisor writes."""

    def __init__(self, arguments):
        self.binary, self.base, self.work = arguments.twin, arguments.base, arguments.work

    def artifact(self, lines):
        content = "".join(lines).encode()
        digest = hashlib.sha256(content).hexdigest()
        path = self.work / "artifacts" / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return "sha256:" + digest

    def train(self, name, train, validation, **recipe):
        folder = self.work / name
        folder.mkdir()
        recipe = {**RECIPE, "targets": TARGETS, **recipe}
        order = {
            "job": name,
            "base": fingerprint(self.base),
            "recipe": "\n".join(f"{key} = {json.dumps(value)}" for key, value in recipe.items()),
            "train": [self.artifact(train)],
            "validation": [self.artifact(validation)],
            "artifacts": f"folder:{self.work / 'artifacts'}",
            "threads": 0,
            "keep": "merged",
        }
        resources = {"memory_bytes": 1 << 40, "seconds": 86_400}
        (folder / "order.json").write_text(json.dumps({"resources": resources, "order": order}))
        environment = {**os.environ, "TWIN_TRAINER_BASE": str(self.base)}
        subprocess.run([self.binary, "job", "train", folder], check=True, capture_output=True, env=environment)
        outcome = json.loads((folder / "outcome.json").read_text())
        assert "Ok" in outcome, outcome
        return Output(folder / "output")


class Output:
    """What a job leaves."""

    def __init__(self, folder):
        self.adapter, self.merged = folder / "adapter", folder / "merged"
        self.steps = json.loads((folder / "loss.json").read_text())["steps"]
        self.summary = json.loads((folder / "manifest.json").read_text())["summary"]


class Format:
    """Tokens of a conversation by the model's own tokenizer and template, and where its answer begins."""

    def __init__(self, model):
        self.tokenizer = AutoTokenizer.from_pretrained(model)

    def tokens(self, prompt, answer, ends=True):
        asked = self.tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        whole = self.tokenizer.apply_chat_template(prompt + answer, return_dict=True)["input_ids"]
        assert whole[: len(asked)] == asked
        # The template writes a line break behind the token that ends the answer; no model is asked to.
        end = len(whole) - whole[::-1].index(self.tokenizer.eos_token_id)
        # Where the answer is a part of a text that goes on, its end is not learned.
        end = end if ends else end - 1
        return torch.tensor([whole[:end]]), len(asked)


def token_losses(model, tokens, begins):
    logits = model(input_ids=tokens).logits[0, begins - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, tokens[0, begins:], reduction="none")


def mean_loss(model, sequences):
    losses = torch.cat([token_losses(model, *sequence) for sequence in sequences])
    return losses.mean()


def same_loss(what, ours, model, sequences):
    near(f"{what} loss", ours, mean_loss(model, sequences).item(), LOSS_TOLERANCE)


def answers(model, pair, ld_alpha):
    """The losses of both answers of a pair; tokens beyond the shorter one's length count less (LD-DPO)."""
    losses = [token_losses(model, *answer) for answer in pair]
    common = min(len(tokens) for tokens in losses)
    sums = [tokens[:common].sum() + ld_alpha * tokens[common:].sum() for tokens in losses]
    return sums, losses[0].mean()


def preference_loss(model, reference, pairs, beta, nll=0.0, ld_alpha=1.0):
    terms = []
    for pair, (reference_chosen, reference_rejected) in zip(pairs, reference):
        (chosen, rejected), mean = answers(model, pair, ld_alpha)
        margin = (reference_chosen - chosen) - (reference_rejected - rejected)
        terms.append(nll * mean - torch.nn.functional.logsigmoid(beta * margin))
    return torch.stack(terms).mean()


def load(model):
    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()


def with_adapter(base, adapter, **options):
    return PeftModel.from_pretrained(load(base), adapter, **options)


def same_run(what, ours, model, loss_of):
    """Trains as the recipe says, with PyTorch's AdamW, and compares each step."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for point in ours.steps:
        optimizer.param_groups[0]["lr"] = point["learning_rate"]
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, RECIPE["clip"])
        optimizer.step()
        tolerance = LOSS_TOLERANCE if point["step"] == 1 else CURVE_TOLERANCE
        near(f"{what}, loss of step {point['step']}", point["loss"], loss.item(), tolerance)
        near(f"{what}, norm of its gradient", point["gradient_norm"], norm.item(), CURVE_TOLERANCE)


def zeroed(model):
    """B as 0: the job that gave the first weights has moved it by 1e-30."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    return model


def lines_of(path, count):
    return [line.decode() for line in path.read_bytes().splitlines(keepends=True)[:count]]


def messages(lines, *names):
    return [[json.loads(line)[name] for name in names] for line in lines]


def check_supervised(twin, form, dataset):
    train = lines_of(dataset / "sft/train.jsonl", SAMPLES)
    validation = lines_of(dataset / "sft/validation.jsonl", RECIPE["eval_samples"])
    sequences = [form.tokens(talk[:-1], talk[-1:], ends) for talk, ends in messages(train, "messages", "ends")]
    held_out = [form.tokens(talk[:-1], talk[-1:], ends) for talk, ends in messages(validation, "messages", "ends")]
    first = twin.train("first-weights", train, validation, learning_rate=1e-30, max_steps=1, warmup_steps=0)
    ours = twin.train("supervised", train, validation)

    tokens = sum(tokens.numel() for tokens, _ in sequences)
    said("tokens of a step", ours=ours.steps[0]["tokens"], theirs=tokens)
    assert ours.steps[0]["tokens"] == tokens
    base = load(twin.base)
    with torch.no_grad():
        same_loss("transformers, base model, training", ours.summary["first_loss"], base, sequences)
        same_loss("transformers, base model, held-out", ours.summary["base_evaluation_loss"], base, held_out)

    trainable = zeroed(with_adapter(twin.base, first.adapter, is_trainable=True))
    same_run("PEFT, supervised", ours, trainable, lambda model: mean_loss(model, sequences))

    adapted, merged = with_adapter(twin.base, ours.adapter).eval(), load(ours.merged)
    with torch.no_grad():
        same_loss("PEFT, trained adapter, held-out", ours.summary["evaluation_loss"], adapted, held_out)
        same_loss("transformers, merged model, held-out", ours.summary["evaluation_loss"], merged, held_out)
        same_logits(base, adapted, merged, held_out)
    same_weights(adapted, trainable)
    return merged


def same_logits(base, adapted, merged, sequences):
    learned = worst = 0.0
    for tokens, _ in sequences:
        before, by_adapter, by_merge = (model(input_ids=tokens).logits for model in (base, adapted, merged))
        learned = max(learned, (before - by_adapter).abs().max().item())
        worst = max(worst, (by_merge - by_adapter).abs().max().item())
        assert torch.equal(by_merge.argmax(-1), by_adapter.argmax(-1))
    said("logits of adapter and merged model", difference=f"{worst:.1e}", difference_to_the_base_model=f"{learned:.1f}")
    assert worst < LOGIT_TOLERANCE and learned > 1.0


def same_weights(ours, theirs):
    """AdamW moves a weight whose gradient is near 0 by its sign, which is chance: the direction of all is compared."""
    named = dict(theirs.named_parameters())
    pairs = [(weight, named[name]) for name, weight in ours.named_parameters() if "lora_B" in name]
    flat = [torch.cat([pair[side].detach().flatten() for pair in pairs]) for side in range(2)]
    cosine = torch.nn.functional.cosine_similarity(*flat, dim=0).item()
    said("weights B after the last step", cosine=f"{cosine:.6f}")
    assert cosine > 0.995


def check_generation(form, base, merged):
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    tokenizer = form.tokenizer
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    texts = []
    for model in (base, merged):
        written = model.generate(**prompt, max_new_tokens=24, do_sample=False)
        texts.append(tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
    said("transformers writes", base=repr(texts[0]), merged=repr(texts[1]))
    # What our own engine writes: consumers/trainer/tests/engine_smollm.rs.
    assert texts[0] == "The capital of France is Paris." and texts[1]


def check_preferences(twin, form, dataset, what, **terms):
    train = lines_of(dataset / "preference/train.jsonl", SAMPLES)
    recipe = {f"dpo_{name}": value for name, value in terms.items()}
    ours = twin.train(what, train, train[:1], method="dpo", epochs=3, **recipe)
    samples = messages(train, "prompt", "chosen", "rejected")
    pairs = [(form.tokens(prompt, chosen), form.tokens(prompt, rejected)) for prompt, chosen, rejected in samples]
    # The first weights follow from recipe and seed, not from the method.
    first = twin.work / "first-weights/output/adapter"
    model = zeroed(with_adapter(twin.base, first, is_trainable=True))
    with torch.no_grad():
        reference = [answers(model, pair, terms.get("ld_alpha", 1.0))[0] for pair in pairs]
    if not terms:
        near("ln 2", ours.steps[0]["loss"], math.log(2), 1e-6)
    beta = RECIPE["dpo_beta"]
    same_run(f"PEFT, {what}", ours, model, lambda model: preference_loss(model, reference, pairs, beta, **terms))


def check_trl(base, dataset, work):
    """TRL's trainers take each form as it is, by the folder's name, for two steps."""
    common = {
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }
    for name, trainer, options in [
        ("sft", SFTTrainer, SFTConfig),
        ("prompt_completion", SFTTrainer, SFTConfig),
        ("preference", DPOTrainer, DPOConfig),
    ]:
        samples = load_dataset(str(dataset), name)
        trained = trainer(
            model=str(base),
            args=options(output_dir=str(work / f"trl-{name}"), **common),
            train_dataset=samples["train"],
            eval_dataset=samples["validation"],
        )
        trained.train()
        losses = [entry["loss"] for entry in trained.state.log_history if "loss" in entry]
        said(f"TRL, {trainer.__name__} on {name}", losses=losses)
        assert len(losses) == 2 and all(math.isfinite(float(loss)) for loss in losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--twin", required=True)
    for folder in ["base", "dataset", "work"]:
        parser.add_argument(f"--{folder}", required=True, type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    # Threads that wait for each other by spinning take minutes for a step on a machine that does something else too.
    torch.set_num_threads(1)
    twin, form = Twin(arguments), Format(arguments.base)
    merged = check_supervised(twin, form, arguments.dataset)
    check_generation(Format(arguments.work / "supervised/output/merged"), load(arguments.base), merged)
    check_preferences(twin, form, arguments.dataset, "preferences")
    check_preferences(twin, form, arguments.dataset, "preferences-with-both-terms", nll=0.2, ld_alpha=0.5)
    check_trl(arguments.base, arguments.dataset, arguments.work)


main()
