"""packed_rows.py MODEL ROWS: plain PyTorch at its best on a CPU: rows end to end, attention row by row, chunked loss."""

import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoTokenizer

import common

HEADS, HEAD_DIM, LAYERS, EPS = 8, 64, 8, 1e-5
WARM_UP = 4


def render(tokenizer, messages):
    """Ids and whether each is trained: contents and end tokens of the assistant."""
    ids, trained = [tokenizer.bos_token_id], [False]
    for message in messages:
        is_answer = message["role"] == "assistant"
        head = tokenizer.encode(f"<|{message['role']}|>\n", add_special_tokens=False)
        body = tokenizer.encode(message["content"].strip(), add_special_tokens=False)
        tail = [tokenizer.eos_token_id] if is_answer else []
        end = tokenizer.encode("\n", add_special_tokens=False)
        ids += head + body + tail + end
        trained += [False] * len(head) + [is_answer] * (len(body) + len(tail)) + [False] * len(end)
    return ids[:1024], trained[:1024]


def rotate(x):
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def loss_of(weights, rows):
    lengths = [len(ids) for ids, _ in rows]
    ids = torch.tensor([token for row, _ in rows for token in row])
    positions = torch.cat([torch.arange(length) for length in lengths]).float()
    labels = torch.cat([torch.tensor([t if k else -100 for t, k in zip(row[1:], keep[1:])] + [-100]) for row, keep in rows])
    frequencies = 1 / (10000 ** (torch.arange(0, HEAD_DIM, 2) / HEAD_DIM))
    angles = torch.cat([positions[:, None] * frequencies] * 2, -1)
    cos, sin = angles.cos().bfloat16()[:, None], angles.sin().bfloat16()[:, None]
    x = F.embedding(ids, weights["model.embed_tokens.weight"])
    for layer in range(LAYERS):
        w = lambda name: weights[f"model.layers.{layer}.{name}.weight"]  # noqa: B023, E731
        h = F.rms_norm(x, (x.shape[-1],), w("input_layernorm"), EPS)
        q, k, v = (F.linear(h, w(f"self_attn.{name}_proj")).view(-1, HEADS, HEAD_DIM) for name in "qkv")
        q, k = q * cos + rotate(q) * sin, k * cos + rotate(k) * sin
        rows_of = lambda t: [part.transpose(0, 1)[None] for part in t.split(lengths)]  # noqa: E731
        attended = [
            F.scaled_dot_product_attention(a, b, c, is_causal=True)[0].transpose(0, 1)
            for a, b, c in zip(rows_of(q), rows_of(k), rows_of(v))
        ]
        x = x + F.linear(torch.cat(attended).reshape(len(ids), -1), w("self_attn.o_proj"))
        h = F.rms_norm(x, (x.shape[-1],), w("post_attention_layernorm"), EPS)
        x = x + F.linear(F.silu(F.linear(h, w("mlp.gate_proj"))) * F.linear(h, w("mlp.up_proj")), w("mlp.down_proj"))
    x = F.rms_norm(x, (x.shape[-1],), weights["model.norm.weight"], EPS)
    keep = labels >= 0
    x, labels = x[keep], labels[keep]
    parts = zip(x.split(512), labels.split(512))
    total = sum(F.cross_entropy(F.linear(a, weights["lm_head.weight"]).float(), b, reduction="sum") for a, b in parts)
    return total / len(labels), len(ids)


def main(folder, path):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    total = WARM_UP + common.STEPS
    rows = [render(tokenizer, messages) for messages in common.rows(path)[: total * 8 + 64]]
    rows = [row for row in rows if any(row[1])]
    weights = {name: value.bfloat16().requires_grad_() for name, value in load_file(f"{folder}/model.safetensors").items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, weight_decay=0, fused=True)
    losses, tokens, started = [], 0, 0.0
    for step in range(total):
        if step == WARM_UP:
            started, tokens = time.time(), 0
        loss, count = loss_of(weights, rows[step * 8 : step * 8 + 8])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += count
        if step in (0, total - 1):
            losses.append(float(loss))
    common.result(tokens, time.time() - started, losses)


main(*sys.argv[1:])
