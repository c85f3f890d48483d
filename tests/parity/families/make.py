"""Tiny random models of the families besides Llama, as Hugging Face writes them, and what transformers computes from each.

    fixtures/NAME/model/                 the model folder
    fixtures/NAME/reference.json         rows (input_ids, labels), loss, greedy continuations, sensitivity, bf16 error
    fixtures/NAME/reference.safetensors  fp32: `logits.R` [n, vocab], `token_logps.R` [n - 1], `grad.PARAMETER`

Files and formulas are those of ../llama/make.py. `sensitivity` tells how far the logits move when a reader leaves out what
makes the family one: biases, norms of queries and keys, windows.
"""

import copy
import importlib.util
import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import common  # noqa: E402

spec = importlib.util.spec_from_file_location("llama_make", HERE.parent / "llama" / "make.py")
llama = importlib.util.module_from_spec(spec)
spec.loader.exec_module(llama)

FIXTURES = HERE / "fixtures"
BASE = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=128, max_position_embeddings=128, bos_token_id=1, eos_token_id=2,
            pad_token_id=0)  # OLMo 2 pads with 1 by default, and generate() would take the first token for padding
THETA = lambda theta: {"rope_theta": theta, "rope_type": "default"}  # noqa: E731

# name -> model_type, fields, dialect of config.json (4 or 5), stored dtype
MODELS = {
    # Mistral 7B v0.1: a window in every layer. Rows of 40 tokens are five windows long.
    "mistral-window-v4": ("mistral", dict(sliding_window=8, rms_norm_eps=1e-5, rope_parameters=THETA(10000.0)), 4, "float32"),
    # Mistral Nemo: no window, heads wider than hidden / heads.
    "mistral-headdim-bf16-v5": ("mistral", dict(sliding_window=None, head_dim=12, rms_norm_eps=1e-5,
                                                rope_parameters=THETA(1000000.0)), 5, "bfloat16"),
    # Qwen 2.5: biases; a window that is defined and switched off; tied.
    "qwen2-tied-bf16-v4": ("qwen2", dict(tie_word_embeddings=True, sliding_window=32, use_sliding_window=False, max_window_layers=2,
                                         rms_norm_eps=1e-6, rope_parameters=THETA(1000000.0)), 4, "bfloat16"),
    # The switch on: the upper two of three layers have a window.
    "qwen2-window-v5": ("qwen2", dict(num_hidden_layers=3, sliding_window=8, use_sliding_window=True, max_window_layers=1,
                                      rms_norm_eps=1e-6, rope_parameters=THETA(10000.0)), 5, "float32"),
    "qwen3-tied-v5": ("qwen3", dict(head_dim=12, tie_word_embeddings=True, rms_norm_eps=1e-6,
                                    rope_parameters=THETA(1000000.0)), 5, "float32"),
    "qwen3-untied-bf16-v4": ("qwen3", dict(head_dim=16, num_key_value_heads=1, rms_norm_eps=1e-6,
                                           rope_parameters=THETA(1000000.0)), 4, "bfloat16"),
    "olmo2-mha-v4": ("olmo2", dict(num_key_value_heads=4, rms_norm_eps=1e-6, rope_parameters=THETA(500000.0)), 4, "float32"),
    "olmo2-gqa-bf16-v5": ("olmo2", dict(rms_norm_eps=1e-6, num_hidden_layers=3, rope_parameters=THETA(500000.0)), 5, "bfloat16"),
}


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    for index, (name, (model_type, fields, dialect, dtype)) in enumerate(MODELS.items()):
        folder = FIXTURES / name
        config = AutoConfig.for_model(model_type, **{**BASE, **fields})
        write_model(folder / "model", config, dialect, dtype, seed=900 + index)
        model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
        write_reference(folder, model, seed=950 + index)
        print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters")


def write_model(folder: Path, config, dialect: int, dtype: str, seed: int) -> None:
    model = random_model(config, seed).to(getattr(torch, dtype))
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    if dialect == 4:
        path = folder / "config.json"
        path.write_text(json.dumps(version_4(json.loads(path.read_text())), indent=2, sort_keys=True) + "\n")


def version_4(config: dict) -> dict:
    """The keys of transformers 4.46: rotary settings and torch_dtype at top level, no list of layers."""
    rope = config.pop("rope_parameters")
    config.pop("layer_types", None)
    if config["model_type"] == "qwen2":
        config["sliding_window"] = 32  # there in the released files, beside a switch that is off
    dtype = config.pop("dtype")
    return {**config, "rope_theta": rope["rope_theta"], "rope_scaling": None, "torch_dtype": dtype,
            "transformers_version": "4.46.0"}


def random_model(config, seed: int, std: float = 0.12, embedding_std: float = 0.05):
    """As common.random_llama; biases are normal around zero and as large as what they are added to."""
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            normal = torch.randn(parameter.shape, generator=generator)
            if name.endswith(".bias"):
                parameter.copy_(normal * 0.3)
            elif parameter.dim() == 1:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            else:
                parameter.copy_(normal * (embedding_std if "embed_tokens" in name and not config.tie_word_embeddings else std))
    return model


def write_reference(folder: Path, model, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vocab = model.config.vocab_size
    rows = [llama.masked_row(generator, length, vocab) for length in (40, 23, 5)]
    tensors = {}
    for index, row in enumerate(rows):
        with torch.no_grad():
            tensors[f"logits.{index}"], tensors[f"token_logps.{index}"] = common.token_logps(model, row["input_ids"])
    model.zero_grad()
    loss = common.summed_loss(model, rows) / common.trained_count(rows)
    loss.backward()
    tensors.update({f"grad.{name}": gradient for name, gradient in common.gradients(model).items()})
    llama.check_padded_batch(model, rows, tensors, loss.item())
    greedy = [llama.clear_continuation(model, generator, length) for length in (3, 9, 21)]
    common.write_tensors(folder / "reference.safetensors", tensors)
    common.write_json(folder / "reference.json", {
        "rows": rows,
        "loss": loss.item(),
        "trained_tokens": common.trained_count(rows),
        "greedy": greedy,
        "sensitivity": sensitivity(model, rows, tensors),
        "bf16_rms_error": bf16_rms_error(folder / "model", rows, tensors),
    })


def bf16_rms_error(folder: Path, rows: list[dict], tensors: dict) -> float:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    with torch.no_grad():
        errors = [common.token_logps(model, row["input_ids"])[0].float() - tensors[f"logits.{index}"]
                  for index, row in enumerate(rows)]
    return torch.cat(errors).pow(2).mean().sqrt().item()


def sensitivity(model, rows: list[dict], tensors: dict) -> dict[str, float]:
    """How far the logits of the first row move under each likely mistake."""
    moved = {"rms_norm_eps": reconfigured(model, rows, tensors, rms_norm_eps=100 * model.config.rms_norm_eps)}
    names = [name for name, _ in model.named_parameters()]
    if any(name.endswith(".bias") for name in names):
        moved["no_bias"] = changed(model, rows, tensors, ".bias", 0.0)
    if any("q_norm" in name for name in names):
        moved["norms_without_weights"] = changed(model, rows, tensors, "_norm.weight", 1.0)
        moved["no_query_norm"] = without_norm(model, rows, tensors)
    if getattr(model.config, "sliding_window", None) is not None:
        size = model.config.sliding_window
        moved["no_window"] = reconfigured(model, rows, tensors, sliding_window=64)
        moved["window_off_by_one"] = reconfigured(model, rows, tensors, sliding_window=size + 1)
        if model.config.model_type == "qwen2":
            moved["window_one_layer_late"] = reconfigured(
                model, rows, tensors, max_window_layers=model.config.max_window_layers + 1, layer_types=None)
    for mistake, distance in moved.items():
        assert distance > 1e-3, f"{mistake} moves the logits by {distance} only"
    return moved


def reconfigured(model, rows: list[dict], tensors: dict, **fields) -> float:
    config = AutoConfig.for_model(**{**copy.deepcopy(model.config.to_dict()), **fields})
    wrong = AutoModelForCausalLM.from_config(config).float().eval()
    wrong.load_state_dict(model.state_dict())
    return llama.logits_moved(wrong, rows, tensors)


def changed(model, rows: list[dict], tensors: dict, ending: str, value: float) -> float:
    wrong = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in wrong.named_parameters():
            if name.endswith(ending) and "self_attn" in name:
                parameter.fill_(value)
    return llama.logits_moved(wrong, rows, tensors)


def without_norm(model, rows: list[dict], tensors: dict) -> float:
    wrong = copy.deepcopy(model)
    for layer in wrong.model.layers:
        layer.self_attn.q_norm = torch.nn.Identity()
    return llama.logits_moved(wrong, rows, tensors)


if __name__ == "__main__":
    main()
