"""What the Python contestants share: threads, rows rendered in the Tülu layout, the result line."""

import json
import os
import re

import torch

THREADS = int(os.environ["BENCH_THREADS"])
STEPS = int(os.environ["BENCH_STEPS"])
torch.set_num_threads(THREADS)


def rows(path):
    with open(path) as lines:
        return [json.loads(line)["messages"] for line in lines]


def result(tokens, seconds, losses):
    peak = re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read()).group(1)
    print(json.dumps({"tokensPerSecond": tokens / seconds, "peakBytes": int(peak) * 1024, "losses": losses}), flush=True)
