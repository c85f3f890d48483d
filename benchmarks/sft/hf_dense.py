"""hf_dense.py MODEL: transformers' Llama, forward, backward and AdamW on 4 x 512 random tokens."""

import sys
import time

import torch
from transformers import AutoModelForCausalLM

import common

WARM_UP = 3


def main(folder):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0, fused=True)
    ids = torch.randint(0, model.config.vocab_size, (4, 512))
    losses, started = [], 0.0
    for step in range(WARM_UP + common.STEPS):
        if step == WARM_UP:
            started = time.time()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step in (0, WARM_UP + common.STEPS - 1):
            losses.append(float(loss))
    common.result(2048 * common.STEPS, time.time() - started, losses)


main(*sys.argv[1:])
