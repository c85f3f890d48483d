"""The Python half of call-overhead.mjs: waits for a line, times every operation once, prints one JSON line. Repeats."""
import json
import sys
import time

import torch

torch.set_num_threads(1)
torch.set_grad_enabled(False)
CALLS = int(sys.argv[1])
x, y = torch.ones(2, 2), torch.ones(2, 2)
w = torch.ones(2, 2).requires_grad_()


def add():
    for _ in range(CALLS):
        x.add(y)


def add_number():
    for _ in range(CALLS):
        x.add(1.5)


def matmul():
    for _ in range(CALLS):
        x.matmul(y)


def view():
    for _ in range(CALLS):
        x.view((4,))


def add_():
    for _ in range(CALLS):
        x.add_(y)


def sum_():
    for _ in range(CALLS):
        x.sum((0,), True)


def cat():
    for _ in range(CALLS):
        torch.cat([x, y], 1)


def add_recorded():
    with torch.enable_grad():
        for _ in range(CALLS):
            x.add(w)


OPERATIONS = {
    "add 2x2": add, "add a number": add_number, "matmul 2x2": matmul, "view": view, "add_ in place": add_,
    "sum over a dimension": sum_, "cat of two": cat, "add, recorded for gradients": add_recorded,
}
for line in sys.stdin:
    times = {}
    for name, operation in OPERATIONS.items():
        start = time.perf_counter()
        operation()
        times[name] = (time.perf_counter() - start) / CALLS * 1e6
    print(json.dumps({"version": torch.__version__, "times": times}), flush=True)
