"""Trains a LoRA adapter with PEFT on PyTorch, on the processor and in single precision.

Arguments: the model's folder, how many threads, the conversations of a step, and the tokens of each. In: a line for each
step. Out: a line with its loss.

A step is that of `benches/src/training.rs`: conversations of one length, the second half of each learned, rank 8 on the
queries and values, AdamW.
"""

import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def load(path: str, threads: int):
    torch.set_num_threads(threads)
    base = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(base, lora).train()
    # Of use in generation alone.
    model.config.use_cache = False
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return model, learned, torch.optim.AdamW(learned, lr=1e-3, weight_decay=0.0)


def main() -> None:
    threads, sequences, length = (int(number) for number in sys.argv[2:])
    model, learned, optimizer = load(sys.argv[1], threads)
    tokens = torch.arange(100, 100 + length).repeat(sequences, 1)
    labels = tokens.clone()
    labels[:, : length // 2] = -100
    for _ in sys.stdin:
        loss = model(input_ids=tokens, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        print(loss.item(), flush=True)


main()
