"""Loads model folders that Camelid wrote and compares their logits with stored ones: check_saved.py FOLDER REFERENCE ...

FOLDER is a model folder; REFERENCE holds the `reference.json` (rows) and `reference.safetensors` (`logits.R`) of the model it
was saved from. Works with transformers 4 and 5. Prints the largest difference of each folder; ends with 1 above 1e-5.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

LIMIT = 1e-5


def difference(folder: Path, reference: Path) -> float:
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    stored = load_file(reference / "reference.safetensors")
    rows = json.loads((reference / "reference.json").read_text())["rows"]
    with torch.no_grad():
        return max(
            (model(input_ids=torch.tensor([row["input_ids"]])).logits[0] - stored[f"logits.{index}"]).abs().max().item()
            for index, row in enumerate(rows)
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    arguments = [Path(argument) for argument in sys.argv[1:]]
    worst = 0.0
    for folder, reference in zip(arguments[::2], arguments[1::2]):
        found = difference(folder, reference)
        worst = max(worst, found)
        print(f"transformers {transformers.__version__}: {reference.name} differs by {found:.1e}")
    sys.exit(0 if worst <= LIMIT else 1)
