"""peft_step.py MODEL ROWS RANK lora|qlora: a step of transformers + PEFT on rows padded to the longest, the best of several."""

import json
import os
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
STEPS = 2


def main(folder, file, rank, method):
    with open(file) as text:
        rows = json.load(text)
    longest = max(len(row["inputIds"]) for row in rows)
    pad = lambda key, fill: torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])  # noqa: E731
    mask = torch.tensor([[1] * len(row["inputIds"]) + [0] * (longest - len(row["inputIds"])) for row in rows])
    batch = {"input_ids": pad("inputIds", 0), "labels": pad("labels", -100), "attention_mask": mask}
    quantised = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=quantised if method == "qlora" else None
    )
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=int(rank), lora_alpha=2 * int(rank), target_modules=modules)).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0, fused=True)
    best = float("inf")
    for step in range(1 + STEPS):
        started = time.time()
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step > 0:
            best = min(best, time.time() - started)
    print(json.dumps({"milliseconds": best * 1000}), flush=True)


main(*sys.argv[1:])
