"""AdamW, gradient clipping and learning-rate schedules on values small enough to print.

    fixtures/adamw.json      per case: settings, and after every step the parameters and both moments (float64 and float32)
    fixtures/clip.json       gradients, total norm before, gradients after torch.nn.utils.clip_grad_norm_
    fixtures/schedules.json  lr of every update under transformers' schedules, and warm-up counts of its Trainer

Gradients of the AdamW cases come from the file too: no model is involved.
"""

import sys
from pathlib import Path

import torch
from transformers import (
    TrainingArguments,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)
from transformers.optimization import get_cosine_with_min_lr_schedule_with_warmup

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
ADAMW = {
    "plain": dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0),
    "decay": dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    "tulu-betas": dict(lr=0.02, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0),
    "large-eps": dict(lr=0.01, betas=(0.9, 0.999), eps=1e-2, weight_decay=0.01),
}


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    common.write_json(FIXTURES / "adamw.json", {name: adamw(options) for name, options in ADAMW.items()})
    common.write_json(FIXTURES / "clip.json", clip_cases())
    common.write_json(FIXTURES / "schedules.json", {"schedules": schedules(), "warmup_steps": warmup_steps()})


def adamw(options: dict) -> dict:
    """Six steps; the second parameter's gradient is zero at first and tiny later, where eps decides."""
    generator = torch.Generator().manual_seed(500)
    start = [torch.randn(2, 3, generator=generator), torch.randn(4, generator=generator)]
    steps = [[torch.randn(2, 3, generator=generator), torch.randn(4, generator=generator) * scale]
             for scale in (0.0, 0.0, 1e-8, 1e-4, 1.0, 100.0)]
    lrs = [options["lr"] * factor for factor in (0.0, 0.5, 1.0, 1.0, 0.5, 0.25)]
    case = {
        "settings": {**options, "betas": list(options["betas"])},
        "lrs": lrs,
        "start": [value.tolist() for value in start],
        "gradients": [[value.tolist() for value in step] for step in steps],
    }
    for dtype in (torch.float64, torch.float32):
        parameters = [torch.nn.Parameter(value.to(dtype)) for value in start]
        optimizer = torch.optim.AdamW(parameters, **options, foreach=False)
        after = []
        for lr, gradients in zip(lrs, steps):
            optimizer.param_groups[0]["lr"] = lr
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = gradient.to(dtype)
            optimizer.step()
            states = [optimizer.state[parameter] for parameter in parameters]
            after.append({
                "parameters": [parameter.tolist() for parameter in parameters],
                "exp_avg": [state["exp_avg"].tolist() for state in states],
                "exp_avg_sq": [state["exp_avg_sq"].tolist() for state in states],
            })
        case[str(dtype).removeprefix("torch.")] = after
    return case


def clip_cases() -> list[dict]:
    generator = torch.Generator().manual_seed(501)
    draw = lambda scale: [torch.randn(*shape, generator=generator, dtype=torch.float64) * scale for shape in ((2, 3), (5,))]  # noqa: E731
    cases = []
    for max_norm, gradients in ((1.0, draw(2.0)), (1.0, draw(0.05)), (0.5, draw(1.0)), (1.0, [torch.zeros(2).double()])):
        parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm).item()
        cases.append({
            "max_norm": max_norm,
            "gradients": [gradient.tolist() for gradient in gradients],
            "norm": norm,
            "clipped": [parameter.grad.tolist() for parameter in parameters],
        })
    return cases


def schedules() -> list[dict]:
    cases = []
    for total, warmup in ((20, 3), (50, 5), (7, 0), (5, 5), (1, 1), (1, 0), (10, 1)):
        makers = {
            "linear": lambda o: get_linear_schedule_with_warmup(o, warmup, total),
            "cosine": lambda o: get_cosine_schedule_with_warmup(o, warmup, total),
            "constant": lambda o: get_constant_schedule_with_warmup(o, warmup),
            "cosine-min-lr": lambda o: get_cosine_with_min_lr_schedule_with_warmup(o, warmup, total, min_lr_rate=0.1),
        }
        for name, make in makers.items():
            cases.append({"schedule": name, "peak": 2e-5, "warmup_steps": warmup, "total_steps": total,
                          "lrs": lrs_used(make, total)})
    return cases


def lrs_used(make, total: int) -> list[float]:
    """The rate that each of the `total` updates uses: the schedule moves after the update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-5)
    schedule, used = make(optimizer), []
    for _ in range(total):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return used


def warmup_steps() -> list[dict]:
    cases = []
    for total, ratio in ((5096, 0.03), (5808, 0.1), (50, 0.1), (50, 0.03), (100, 0.07), (10, 0.0), (1, 0.03), (30, 0.1)):
        arguments = TrainingArguments(output_dir="unused", warmup_steps=ratio, report_to="none", use_cpu=True)
        cases.append({"total_steps": total, "warmup_ratio": ratio, "warmup_steps": arguments.get_warmup_steps(total)})
    return cases


if __name__ == "__main__":
    main()
