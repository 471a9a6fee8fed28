"""Loads an exported dataset version with Hugging Face's `datasets`. Usage: dataset_reader.py FOLDER

Writes one JSON object of what was read: each data file by itself, the folder as a dataset, and its configurations.
What goes wrong is an exception.
"""

import json
import sys
from pathlib import Path

from datasets import List, Value, get_dataset_config_names, load_dataset

folder = Path(sys.argv[1])


def form(feature):
    """The type of a column: "string", [its items' form], or {a field: its form}."""
    if isinstance(feature, Value):
        return feature.dtype
    if isinstance(feature, List):
        return [form(feature.feature)]
    return {name: form(field) for name, field in feature.items()}


def read(name):
    dataset = load_dataset("json", data_files=str(folder / name), split="train")
    # Lines end with a line feed alone: a text may hold the other characters that Python takes for one.
    written = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
    return {"columns": form(dataset.features), "rows": len(dataset), "as_written": list(dataset) == written}


def splits(*configuration):
    loaded = load_dataset(str(folder), *configuration)
    return {split: {"columns": form(dataset.features), "rows": len(dataset)} for split, dataset in loaded.items()}


names = get_dataset_config_names(str(folder))
told = {
    "files": {str(path.relative_to(folder)): read(path.relative_to(folder)) for path in folder.glob("*/*.jsonl")},
    "default": splits(),
    "configurations": {name: splits(name) for name in names},
}
json.dump(told, sys.stdout)
