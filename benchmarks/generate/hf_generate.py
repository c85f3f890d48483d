"""hf_generate.py MODEL PROMPTS DTYPE: transformers' generate on one left-padded batch of all prompts."""

import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

from result import result

NEW_TOKENS = int(os.environ["BENCH_NEW_TOKENS"])


def main(folder, file, dtype):
    with open(file) as text:
        prompts = json.load(text)["prompts"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])

    def generate(count):
        return model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=count, do_sample=False, eos_token_id=None, pad_token_id=0
        )[:, longest:]

    with torch.inference_mode():
        generate(2)
        started = time.time()
        outputs = generate(NEW_TOKENS)
        seconds = time.time() - started
    # Keys and values of the padded rectangle, once; what concatenation needs besides is not counted.
    config = model.config
    width = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * model.dtype.itemsize
    result(
        perSecond=outputs.numel() / seconds,
        kvPeakBytes=len(prompts) * (longest + NEW_TOKENS) * width,
        outputs=outputs.tolist(),
    )


main(*sys.argv[1:])
