"""gemm_only.py MODEL: the matrix products of one step of the dense case, forward and backward, and nothing else."""

import json
import sys
import time

import torch

import common

TOKENS = 2048


def main(folder):
    config = json.load(open(f"{folder}/config.json"))
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    per_layer = [(hidden, hidden)] * 4 + [(inner, hidden)] * 2 + [(hidden, inner)]
    shapes = per_layer * config["num_hidden_layers"] + [(vocab, hidden)]
    weights = [torch.randn(shape).bfloat16() for shape in shapes]
    inputs = {width: torch.randn(TOKENS, width).bfloat16() for width in {shape[1] for shape in shapes}}
    outputs = {width: torch.randn(TOKENS, width).bfloat16() for width in {shape[0] for shape in shapes}}

    def step():
        for weight in weights:
            out, width = weight.shape
            inputs[width] @ weight.t()
            outputs[out] @ weight
            outputs[out].t() @ inputs[width]

    step()
    started = time.time()
    for _ in range(common.STEPS):
        step()
    common.result(TOKENS * common.STEPS, time.time() - started, [])


main(*sys.argv[1:])
