"""Holds an exported model folder against its parity.json in transformers (4 or 5): check_parity.py FOLDER ...

For every conversation the chat template must give the stored ids - unless a message holds the text of a special token, which
transformers would turn into the token - and the model the stored logits.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

# Of the largest logit: another order of summation, in the precision that the fixtures were made in.
LIMITS = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 0.05}


def check(folder: Path) -> bool:
    stored = json.loads((folder / "parity.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=getattr(torch, stored["dtype"])).eval()
    specials = list(tokenizer.get_added_vocab())
    worst, asked, same = 0.0, 0, 0
    for fixture in stored["fixtures"]:
        messages, ids = fixture["messages"], fixture["input_ids"]
        if not any(special in message["content"] for special in specials for message in messages):
            asked += 1
            text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            same += tokenizer(text, add_special_tokens=False)["input_ids"] == ids
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        scale = max(1.0, *(abs(entry["logit"]) for entry in fixture["top"]))
        worst = max(worst, *(abs(logits[entry["id"]].item() - entry["logit"]) / scale for entry in fixture["top"]))
    print(f"transformers {transformers.__version__}, {folder.name}: same ids in {same} of {asked}, logits differ by {worst:.1e}")
    return same == asked and asked > 0 and worst <= LIMITS[stored["dtype"]]


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if all([check(Path(argument)) for argument in sys.argv[1:]]) else 1)
