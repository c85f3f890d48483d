"""Threads before, and the result line after what a Python contestant does."""

import json
import os
import re

import torch

torch.set_num_threads(int(os.environ["BENCH_THREADS"]))


def result(**fields):
    peak = re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read()).group(1)
    print(json.dumps({**fields, "peakBytes": int(peak) * 1024}), flush=True)
