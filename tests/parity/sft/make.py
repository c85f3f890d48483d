"""Fifty steps of supervised fine-tuning, as plainly as PyTorch allows.

    fixtures/model/               the initial weights, a Hugging Face folder (fp32)
    fixtures/rows.json            64 rows {id, input_ids, labels} and `order`: the row indices of every step
    fixtures/reference.json       settings, formulas, and per variant: lr, loss, grad_norm by step; norms of the final weights
    fixtures/final.safetensors    final weights of the variant `decay-0`

A step takes 8 rows. Its loss is the sum of -log p over the trained tokens of all 8, divided by their number: the
denominator is known before the first micro-batch, so 8 x 1, 4 x 2 and 1 x 8 rows are the same computation.
Everything is fp32.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
VOCAB, ROWS, STEPS, ROWS_PER_STEP = 64, 64, 50, 8
PEAK, WARMUP_RATIO, MAX_GRAD_NORM = 3e-3, 0.1, 1.0
WARMUP_STEPS = math.ceil(WARMUP_RATIO * STEPS)
FORMULAS = {
    "warmup_steps": "ceil(warmup_ratio * total_steps)",
    "lr": "of update s = 0, 1, ..: peak * s / max(1, warmup_steps) while s < warmup_steps, "
    "then peak * max(0, total_steps - s) / max(1, total_steps - warmup_steps); the first update has lr 0",
    "loss": "sum of -log p over the step's trained tokens / their number",
    "grad_norm": "2-norm of all gradients together, before clipping",
    "clip": "gradients * min(1, max_grad_norm / (grad_norm + 1e-6))",
}
# decay-0.1 decays every parameter (PyTorch's default grouping); the other one spares the norms (Hugging Face's Trainer).
VARIANTS = {
    "decay-0": dict(weight_decay=0.0),
    "decay-0.1": dict(weight_decay=0.1),
    "decay-0.1-matrices-only": dict(weight_decay=0.1, matrices_only=True),
    # A trainer that averages the means of its micro-batches, row by row. Its `loss` here is the token mean all the same.
    "mean-of-means-1x8": dict(weight_decay=0.0, mean_of_means=True),
}


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    config = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=VOCAB, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
    common.random_llama(400, std=0.1, embedding_std=0.5, **config).save_pretrained(FIXTURES / "model")
    rows, order = toy_rows(), step_order()
    common.write_json(FIXTURES / "rows.json", {"rows": rows, "order": order})
    variants = {name: train_variant(name, rows, order, **options) for name, options in VARIANTS.items()}
    common.write_json(FIXTURES / "reference.json", {
        "settings": {
            "steps": STEPS, "rows_per_step": ROWS_PER_STEP, "learning_rate": PEAK, "warmup_ratio": WARMUP_RATIO,
            "warmup_steps": WARMUP_STEPS, "betas": [0.9, 0.999], "eps": 1e-8, "max_grad_norm": MAX_GRAD_NORM,
        },
        "formulas": FORMULAS,
        "trained_tokens": [common.trained_count([rows[index] for index in step]) for step in order],
        "variants": variants,
    })


def toy_rows() -> list[dict]:
    """Conversations of one to three turns: `3 question 4 answer 2`, and the answer counts on from its first token.

    The world is small enough to be half learnt in fifty steps: some gradients stay below the clipping norm. Lengths
    differ a lot, so that a mean of means is visibly not the token mean. One row trains a single token. One has a label on
    every token: its first is never a target, its second is.
    """
    generator = torch.Generator().manual_seed(401)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))  # noqa: E731
    rows = []
    for index in range(ROWS):
        ids, labels = [1], [-100]
        for _ in range(1 if index == 7 else draw(1, 4)):
            question = [draw(5, 20) for _ in range(1 if index == 7 else draw(1, 7))]
            answer = [2] if index == 7 else [*range(20 + len(question), 20 + 3 * len(question)), 2]
            ids += [3, *question, 4, *answer]
            labels += [-100] * (len(question) + 2) + answer
        if index == 9:
            labels = list(ids)
        rows.append({"id": f"toy_{index}", "input_ids": ids, "labels": labels})
    return rows


def step_order() -> list[list[int]]:
    """Every epoch is a permutation of the rows; steps are consecutive slices."""
    generator = torch.Generator().manual_seed(402)
    flat = []
    while len(flat) < STEPS * ROWS_PER_STEP:
        flat += torch.randperm(ROWS, generator=generator).tolist()
    return [flat[step * ROWS_PER_STEP : (step + 1) * ROWS_PER_STEP] for step in range(STEPS)]


def train_variant(name: str, rows: list[dict], order: list[list[int]], **options) -> dict:
    """One row at a time for means of means, else 8 rows; 2 and 1 at a time must then give the same losses."""
    mean_of_means = options.get("mean_of_means", False)
    history, model = train(rows, order, 1 if mean_of_means else 8, **options)
    for size in () if mean_of_means else (2, 1):
        losses = train(rows, order, size, **options)[0]["loss"]
        worst = max(abs(a - b) / b for a, b in zip(losses, history["loss"]))
        assert worst < 1e-5, f"{name}: {size} rows at a time differ by {worst}"
    print(name, [round(value, 3) for value in history["grad_norm"][::7]], flush=True)
    assert min(history["grad_norm"]) < MAX_GRAD_NORM < max(history["grad_norm"]), "clipping must bite, but not always"
    if name == "decay-0":
        common.write_tensors(FIXTURES / "final.safetensors", dict(model.named_parameters()))
    final = {key: numbers(parameter) for key, parameter in model.named_parameters()}
    return {**history, "final": final}


def train(rows, order, micro_batch_size: int, weight_decay: float, matrices_only=False, mean_of_means=False):
    """`micro_batch_size` rows in a forward pass; as many passes as a step of 8 rows needs."""
    model = LlamaForCausalLM.from_pretrained(FIXTURES / "model", dtype=torch.float32)
    spared = [p for p in model.parameters() if matrices_only and p.dim() == 1]
    decayed = [p for p in model.parameters() if not (matrices_only and p.dim() == 1)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=PEAK, betas=(0.9, 0.999), eps=1e-8)
    history = {"lr": [], "loss": [], "grad_norm": []}
    for step, indices in enumerate(order):
        step_rows = [rows[index] for index in indices]
        denominator = common.trained_count(step_rows)
        step_loss = 0.0
        for start in range(0, ROWS_PER_STEP, micro_batch_size):
            micro = step_rows[start : start + micro_batch_size]
            scale = denominator if not mean_of_means else common.trained_count(micro) * (ROWS_PER_STEP / len(micro))
            summed = padded_sum(model, micro)
            (summed / scale).backward()
            step_loss += summed.item() / denominator
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
        optimizer.zero_grad()
        history["lr"].append(learning_rate(step))
        history["loss"].append(step_loss)
        history["grad_norm"].append(norm.item())
    return history, model


def padded_sum(model: LlamaForCausalLM, rows: list[dict]) -> torch.Tensor:
    width = max(len(row["input_ids"]) for row in rows)
    pad = lambda key, filler: torch.tensor([r[key] + [filler] * (width - len(r[key])) for r in rows])  # noqa: E731
    input_ids, labels = pad("input_ids", 0), pad("labels", -100)
    mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in rows])
    logits = model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")


def learning_rate(step: int) -> float:
    if step < WARMUP_STEPS:
        return PEAK * step / max(1, WARMUP_STEPS)
    return PEAK * max(0.0, STEPS - step) / max(1, STEPS - WARMUP_STEPS)


def numbers(parameter: torch.Tensor) -> dict[str, float]:
    values = parameter.detach().double()
    return {"sum": values.sum().item(), "absolute_sum": values.abs().sum().item(), "norm": values.norm().item()}


if __name__ == "__main__":
    main()
