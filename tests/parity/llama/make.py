"""Tiny random Llama folders as Hugging Face writes them, and what transformers computes from each.

    fixtures/NAME/model/                 the model folder
    fixtures/NAME/reference.json         rows (input_ids, labels), loss, greedy continuations, sensitivity, and how far
                                         transformers' own logits lie from the fp32 ones when it computes in bf16
    fixtures/NAME/reference.safetensors  fp32: `logits.R` [n, vocab], `token_logps.R` [n - 1], `grad.PARAMETER`

Rows are computed one by one, without padding; the script asserts that a padded batch agrees. The loss is the mean of
-log p over the trained tokens of all rows. `sensitivity` tells how far the logits move when a reader of the folder
ignores or mistakes one field: every such number is far above the tolerance of the tests.
"""

import copy
import json
import sys
import types
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
BASE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 128}

# name -> config fields, dialect of config.json (4 or 5), stored dtype, files, and keys a version 4 file leaves out
MODELS = {
    # Llama 1 as it was first published: no rope_theta, no num_key_value_heads in the file.
    "mha-untied-v4": dict(
        config=dict(rms_norm_eps=1e-6, max_position_embeddings=64),
        dialect=4, dtype="float32", files="safetensors", omit=["rope_theta", "rope_scaling", "num_key_value_heads"],
    ),
    # Llama 3.1: grouped queries, scaled rotary embedding, bf16, several shards.
    "gqa-llama3-bf16-sharded-v4": dict(
        config=dict(num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=256,
                    rope={"rope_theta": 500000.0, **LLAMA3, "original_max_position_embeddings": 16}),
        dialect=4, dtype="bfloat16", files="sharded-safetensors",
    ),
    # Llama 3.2: tied, explicit head_dim, scaling factor 32, as transformers 5 writes it.
    "gqa-tied-llama3-bf16-v5": dict(
        config=dict(num_key_value_heads=2, head_dim=8, tie_word_embeddings=True, rms_norm_eps=1e-5,
                    max_position_embeddings=512, vocab_size=160,
                    rope={"rope_theta": 500000.0, **LLAMA3, "factor": 32.0, "original_max_position_embeddings": 12}),
        dialect=5, dtype="bfloat16", files="safetensors",
    ),
    # CodeLlama's theta with a single key-value head, fp16.
    "mqa-theta1m-fp16-v4": dict(
        config=dict(num_key_value_heads=1, rms_norm_eps=1e-5, max_position_embeddings=128, vocab_size=144,
                    rope={"rope_theta": 1000000.0, "rope_type": "default"}),
        dialect=4, dtype="float16", files="safetensors",
    ),
    # head_dim that is not hidden_size / num_attention_heads: q and o are not square.
    "headdim-gqa-sharded-v5": dict(
        config=dict(num_key_value_heads=2, head_dim=12, rms_norm_eps=1e-6, max_position_embeddings=64, vocab_size=136,
                    rope={"rope_theta": 10000.0, "rope_type": "default"}),
        dialect=5, dtype="float32", files="sharded-safetensors",
    ),
    # An old PyTorch file: tied weights share one storage, and every layer carries the rotary buffer.
    "mha-tied-fp16-bin-v4": dict(
        config=dict(num_key_value_heads=4, tie_word_embeddings=True, rms_norm_eps=1e-6, max_position_embeddings=64,
                    rope={"rope_theta": 10000.0, "rope_type": "default"}),
        dialect=4, dtype="float16", files="bin",
    ),
    # Several PyTorch files with an index, bf16, three layers.
    "gqa-bf16-bin-sharded-v4": dict(
        config=dict(num_key_value_heads=2, num_hidden_layers=3, rms_norm_eps=1e-5, max_position_embeddings=64,
                    rope={"rope_theta": 10000.0, "rope_type": "default"}),
        dialect=4, dtype="bfloat16", files="sharded-bin",
    ),
    # More heads, groups of four, theta 1,000,000 in the version 5 dialect, three layers.
    "gqa4-theta1m-v5": dict(
        config=dict(hidden_size=48, num_attention_heads=8, num_key_value_heads=2, head_dim=8, num_hidden_layers=3,
                    rms_norm_eps=1e-6, max_position_embeddings=64, rope={"rope_theta": 1000000.0, "rope_type": "default"}),
        dialect=5, dtype="float32", files="safetensors",
    ),
    # Tied weights in a version 4 safetensors file: `lm_head.weight` is absent.
    "mqa-tied-llama3-v4": dict(
        config=dict(num_key_value_heads=1, tie_word_embeddings=True, rms_norm_eps=1e-5, max_position_embeddings=128,
                    rope={"rope_theta": 500000.0, **LLAMA3, "factor": 4.0, "original_max_position_embeddings": 24}),
        dialect=4, dtype="float32", files="safetensors",
    ),
}
PACKED = "gqa-llama3-bf16-sharded-v4"


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    for index, (name, spec) in enumerate(MODELS.items()):
        folder = FIXTURES / name
        write_model(folder / "model", spec, seed=100 + index)
        # What the file says counts, not what was in memory: load it as any user would.
        model = LlamaForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
        write_reference(folder, model, seed=200 + index)
        if name == PACKED:
            write_packed(folder, model)
        print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters")


def llama_config(spec: dict) -> dict:
    fields = {**BASE, **spec["config"]}
    rope = fields.pop("rope", {"rope_theta": 10000.0, "rope_type": "default"})
    return {**fields, "rope_parameters": rope, "bos_token_id": 1, "eos_token_id": 2}


def write_model(folder: Path, spec: dict, seed: int) -> None:
    model = common.random_llama(seed, **llama_config(spec)).to(getattr(torch, spec["dtype"]))
    folder.mkdir(parents=True)
    shard = "40KB" if spec["files"] == "sharded-safetensors" else "1GB"
    model.save_pretrained(folder, max_shard_size=shard)
    if "bin" in spec["files"]:
        write_bin(folder, model, sharded=spec["files"] == "sharded-bin")
    if spec["dialect"] == 4:
        write_config_v4(folder, model.config, spec)


def write_bin(folder: Path, model: LlamaForCausalLM, sharded: bool) -> None:
    """What transformers 4 wrote with safe_serialization=False: torch.save of the state dict."""
    (folder / "model.safetensors").unlink()
    state = model.state_dict()
    if not sharded:
        # Checkpoints of early 2023 carry this buffer; readers skip it.
        for layer in range(model.config.num_hidden_layers):
            state[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = model.model.rotary_emb.inv_freq.clone()
        torch.save(state, folder / "pytorch_model.bin")
        return
    names = list(state)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    weight_map = {}
    for number, half in enumerate(halves, start=1):
        file = f"pytorch_model-{number:05d}-of-{len(halves):05d}.bin"
        torch.save({name: state[name] for name in half}, folder / file)
        weight_map.update({name: file for name in half})
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def write_config_v4(folder: Path, config: LlamaConfig, spec: dict) -> None:
    """The keys of transformers 4.46: rotary settings and torch_dtype at top level."""
    rope = dict(config.rope_parameters)
    theta = rope.pop("rope_theta")
    fields = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": None if rope["rope_type"] == "default" else rope,
        "rope_theta": theta,
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": spec["dtype"],
        "transformers_version": "4.46.0",
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }
    for key in spec.get("omit", []):
        del fields[key]
    (folder / "config.json").write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")
    generation = folder / "generation_config.json"
    generation.write_text(json.dumps({**json.loads(generation.read_text()), "transformers_version": "4.46.0"}, indent=2) + "\n")


def write_reference(folder: Path, model: LlamaForCausalLM, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vocab = model.config.vocab_size
    rows = [masked_row(generator, length, vocab) for length in (40, 23, 5)]
    tensors, loss = row_references(model, rows)
    continuations = []
    for length in (3, 9, 21):
        continuations.append(clear_continuation(model, generator, length))
    common.write_tensors(folder / "reference.safetensors", tensors)
    common.write_json(folder / "reference.json", {
        "rows": rows,
        "loss": loss,
        "trained_tokens": common.trained_count(rows),
        "greedy": continuations,
        "sensitivity": sensitivity(model, rows, tensors),
        "bf16_rms_error": bf16_rms_error(folder / "model", rows, tensors),
    })


def bf16_rms_error(folder: Path, rows: list[dict], tensors: dict[str, torch.Tensor]) -> float:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    with torch.no_grad():
        errors = [common.token_logps(model, row["input_ids"])[0].float() - tensors[f"logits.{index}"]
                  for index, row in enumerate(rows)]
    return torch.cat(errors).pow(2).mean().sqrt().item()


def masked_row(generator: torch.Generator, length: int, vocab_size: int) -> dict:
    """Two trained stretches with untrained ones before and between, as in a conversation of two turns."""
    ids = common.random_ids(generator, length, vocab_size)
    first, second = length // 4, length // 2
    untrained = [position < first or second <= position < second + length // 5 for position in range(length)]
    return {"input_ids": ids, "labels": [-100 if masked else token for masked, token in zip(untrained, ids)]}


def row_references(model: LlamaForCausalLM, rows: list[dict]) -> tuple[dict[str, torch.Tensor], float]:
    tensors = {}
    for index, row in enumerate(rows):
        with torch.no_grad():
            tensors[f"logits.{index}"], tensors[f"token_logps.{index}"] = common.token_logps(model, row["input_ids"])
    model.zero_grad()
    loss = common.summed_loss(model, rows) / common.trained_count(rows)
    loss.backward()
    tensors.update({f"grad.{name}": gradient for name, gradient in common.gradients(model).items()})
    check_padded_batch(model, rows, tensors, loss.item())
    check_rounding(model, rows, tensors)
    return tensors, loss.item()


def check_padded_batch(model: LlamaForCausalLM, rows: list[dict], tensors: dict, loss: float) -> None:
    """transformers' own loss over the right-padded batch is the same number, and so are the logits."""
    width = max(len(row["input_ids"]) for row in rows)
    pad = lambda values, filler: values + [filler] * (width - len(values))  # noqa: E731
    with torch.no_grad():
        output = model(
            input_ids=torch.tensor([pad(row["input_ids"], 0) for row in rows]),
            attention_mask=torch.tensor([pad([1] * len(row["input_ids"]), 0) for row in rows]),
            labels=torch.tensor([pad(row["labels"], -100) for row in rows]),
        )
    assert abs(output.loss.item() - loss) < 2e-6, (output.loss.item(), loss)
    for index, row in enumerate(rows):
        assert common.max_difference(output.logits[index, : len(row["input_ids"])], tensors[f"logits.{index}"]) < 1e-5


def check_rounding(model: LlamaForCausalLM, rows: list[dict], tensors: dict) -> None:
    """The fp32 logits lie so close to float64 ones that another order of summation stays within the tests' 1e-5."""
    exact = copy.deepcopy(model).double()
    for module in exact.modules():
        if isinstance(module, LlamaRMSNorm):
            module.forward = types.MethodType(exact_rms_norm, module)
    with torch.no_grad():
        worst = max(common.max_difference(common.token_logps(exact, row["input_ids"])[0], tensors[f"logits.{index}"])
                    for index, row in enumerate(rows))
    assert worst < 3e-6, worst


def exact_rms_norm(norm: LlamaRMSNorm, x: torch.Tensor) -> torch.Tensor:
    """As LlamaRMSNorm, which computes its statistics in fp32 whatever the input."""
    return norm.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)


def clear_continuation(model: LlamaForCausalLM, generator: torch.Generator, length: int) -> dict:
    """A prompt whose greedy path has no near tie: rounding in another engine cannot change a token."""
    while True:
        prompt = common.random_ids(generator, length, model.config.vocab_size)
        tokens, margin = common.greedy(model, prompt, 20)
        if margin < 5e-3 or 2 in tokens:
            continue
        generated = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=20, min_new_tokens=20)
        assert generated[0, length:].tolist() == tokens
        return {"prompt_ids": prompt, "output_ids": tokens, "smallest_margin": margin}


def sensitivity(model: LlamaForCausalLM, rows: list[dict], tensors: dict) -> dict[str, float]:
    """How far the logits of the first row move under each likely mistake; a mistake must be visible."""
    config = model.config
    rope = config.rope_parameters
    mistakes = {
        "rms_norm_eps": dict(rms_norm_eps=1e-6 if config.rms_norm_eps == 1e-5 else 1e-5),
        "rope_theta": dict(rope_parameters={**rope, "rope_theta": 20000.0 if rope["rope_theta"] == 10000.0 else 10000.0}),
    }
    if rope["rope_type"] != "default":
        mistakes["rope_scaling"] = dict(rope_parameters={"rope_type": "default", "rope_theta": rope["rope_theta"]})
    moved = {}
    for mistake, fields in mistakes.items():
        wrong = LlamaForCausalLM(LlamaConfig(**{**copy.deepcopy(config.to_dict()), **fields})).eval()
        wrong.load_state_dict(model.state_dict())
        moved[mistake] = logits_moved(wrong, rows, tensors)
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    if 1 < groups < heads:
        moved["interleaved_kv_heads"] = logits_moved(interleaved(model), rows, tensors)
    moved["rotated_pairs"] = logits_moved(rotated_pairs(model), rows, tensors)
    for mistake, distance in moved.items():
        assert distance > 1e-3, f"{mistake} moves the logits by {distance} only"
    return moved


def logits_moved(wrong: LlamaForCausalLM, rows: list[dict], tensors: dict) -> float:
    with torch.no_grad():
        return common.max_difference(common.token_logps(wrong, rows[0]["input_ids"])[0], tensors["logits.0"])


def interleaved(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """Query head h reads key-value head h mod kv instead of floor(h kv / heads): the same as reordering query heads."""
    wrong, config = copy.deepcopy(model), model.config
    heads, kv = config.num_attention_heads, config.num_key_value_heads
    order = [h for g in range(kv) for h in range(heads) if h % kv == g]
    with torch.no_grad():
        for layer in wrong.model.layers:
            attention = layer.self_attn
            query, out = attention.q_proj.weight, attention.o_proj.weight
            query.copy_(query.view(heads, config.head_dim, -1)[order].reshape(query.shape))
            out.copy_(out.view(-1, heads, config.head_dim)[:, order].reshape(out.shape))
    return wrong


def rotated_pairs(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """Rotating neighbours (2i, 2i + 1) instead of halves (i, i + d/2): the same as reordering the rows of q and k."""
    wrong, half = copy.deepcopy(model), model.config.head_dim // 2
    order = [2 * i for i in range(half)] + [2 * i + 1 for i in range(half)]
    with torch.no_grad():
        for layer in wrong.model.layers:
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                weight = projection.weight
                weight.copy_(weight.view(-1, 2 * half, weight.shape[1])[:, order].reshape(weight.shape))
    return wrong


def write_packed(folder: Path, model: LlamaForCausalLM) -> None:
    """Three rows in one sequence. The reference is each row alone; transformers' own packed pass must agree.

    The label of a row's first token is never a target: nothing in the sequence before it belongs to the row.
    """
    generator = torch.Generator().manual_seed(300)
    rows = [masked_row(generator, length, model.config.vocab_size) for length in (17, 6, 29)]
    # A trained first token shows a packer that predicts it from the neighbour's last token.
    rows[1]["labels"][0] = rows[1]["input_ids"][0]
    tensors, loss = row_references(model, rows)
    input_ids = [token for row in rows for token in row["input_ids"]]
    position_ids = [position for row in rows for position in range(len(row["input_ids"]))]
    row_of = torch.tensor([index for index, row in enumerate(rows) for _ in row["input_ids"]])
    allowed = (row_of[:, None] == row_of[None, :]).tril()
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        packed = model(
            input_ids=torch.tensor([input_ids]), position_ids=torch.tensor([position_ids]), attention_mask=mask
        ).logits[0]
        leaky = model(input_ids=torch.tensor([input_ids])).logits[0]
    alone = torch.cat([tensors[f"logits.{index}"] for index in range(len(rows))])
    assert common.max_difference(packed, alone) < 1e-5
    common.write_tensors(folder / "packed.safetensors", tensors)
    common.write_json(folder / "packed.json", {
        "rows": rows,
        "input_ids": input_ids,
        "position_ids": position_ids,
        "loss": loss,
        "trained_tokens": common.trained_count(rows),
        "sensitivity": {"attention_across_rows": common.max_difference(leaky, alone)},
    })


if __name__ == "__main__":
    main()
