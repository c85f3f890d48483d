"""What every reference script shares: determinism, files, and tiny random Llamas.

Arrays go to safetensors, ids and scalars to JSON. Everything is seeded and runs on one CPU thread, so that a second
run with the same library versions writes the same bytes.
"""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

IGNORE_INDEX = -100


def deterministic() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fresh_folder(folder: Path) -> Path:
    """An empty folder: what an older version of a script wrote must not survive."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_json(path: Path, value) -> None:
    """Short lists stay on one line, so that the file can be read and a diff shows what moved."""
    path.write_text(_json(value, 0) + "\n")


def _json(value, depth: int) -> str:
    flat = json.dumps(value, allow_nan=False)
    if not isinstance(value, (dict, list)) or len(flat) + 2 * depth <= 110:
        return flat
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return flat
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{end}}}"
    return "[\n" + ",\n".join(pad + _json(item, depth + 1) for item in value) + f"\n{end}]"


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, str(path))
    path.chmod(0o644)


def random_llama(seed: int, std: float = 0.12, embedding_std: float = 0.05, **config) -> LlamaForCausalLM:
    """A Llama whose weights are large enough that every part of it moves the logits, and small enough that rounding stays
    rounding: at std 0.2, fp32 logits of three layers already lie 1e-5 from float64 ones.

    Norms lie in [0.5, 1.5]. Embeddings of untied models are smaller than matrices, which makes the epsilon of the first
    norm visible; a tied embedding is the output layer too, and has the std of a matrix.
    """
    model = LlamaForCausalLM(LlamaConfig(**config)).float().eval()
    generator = torch.Generator().manual_seed(seed)
    tied = model.config.tie_word_embeddings
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            else:
                scale = embedding_std if "embed_tokens" in name and not tied else std
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def random_ids(generator: torch.Generator, length: int, vocab_size: int) -> list[int]:
    """Token 1 (beginning of text), then anything from 3 on: never an end or unknown token by accident."""
    return [1, *torch.randint(3, vocab_size, (length - 1,), generator=generator).tolist()]


def token_logps(model: LlamaForCausalLM, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [n, vocab] of one row alone, and log p of ids[t + 1] at position t, [n - 1], in nats."""
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    logps = torch.log_softmax(logits[:-1], dim=-1)
    return logits, logps.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def trained(labels: list[int]) -> torch.Tensor:
    """Which of the n - 1 predictions carry loss: the label of the *next* position counts."""
    return torch.tensor(labels[1:]) != IGNORE_INDEX


def trained_count(rows: list[dict]) -> int:
    return sum(int(trained(row["labels"]).sum()) for row in rows)


def summed_loss(model: LlamaForCausalLM, rows: list[dict]) -> torch.Tensor:
    """Summed -log p of the trained tokens, row by row without padding."""
    total = torch.zeros(())
    for row in rows:
        _, logps = token_logps(model, row["input_ids"])
        total = total - logps[trained(row["labels"])].sum()
    return total


def gradients(model: LlamaForCausalLM) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def max_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    return (left - right).abs().max().item()


def greedy(model: LlamaForCausalLM, prompt: list[int], count: int) -> tuple[list[int], float]:
    """The next `count` tokens by arg max without a cache, and the smallest lead of a winner over the runner-up."""
    ids, margin = list(prompt), math.inf
    with torch.no_grad():
        for _ in range(count):
            top = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
            margin = min(margin, (top.values[0] - top.values[1]).item())
            ids.append(int(top.indices[0]))
    return ids[len(prompt) :], margin
