"""LoRA adapters as PEFT writes them, NF4 as bitsandbytes computes it, and the two together (QLoRA).

    fixtures/base/                   the base model folder (fp32; head_dim 12, so that no two projections share a shape)
    fixtures/ADAPTER/                adapter_config.json, adapter_model.safetensors (random A and B: nothing cancels)
    fixtures/reference.json          rows, per adapter: scaling, loss, greedy tokens, sensitivity
    fixtures/ADAPTER.safetensors     fp32: `logits.R` with the adapter, `grad.PARAMETER` of the LoRA matrices, `merged.PARAMETER`
    fixtures/base.safetensors        `logits.R` with adapters off
    fixtures/nf4.json, .safetensors  per matrix: source, packed codes, double-quantised block maxima, restored values
    fixtures/qlora.safetensors       `logits.R` of the NF4 base, with and without an adapter; `merged.PARAMETER`

NF4 is written out in numpy from its definition (`Nf4`), and bitsandbytes must agree code for code. Two traits of its CPU
build (0.50) are not taken over: it finds 8-bit codes by a lookup table, which now and then gives the second-nearest entry
for a value close to the middle of two; and it restores matrices wrongly whose rows are no multiple of 64 values, so that
a block crosses rows. It is handed flat vectors here, and the stored 8-bit codes are the nearest ones.
"""

import copy
import json
import sys
from pathlib import Path

import bitsandbytes.functional as bnb
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# alpha / rank differs everywhere, and so does rank from alpha: a swapped or forgotten scaling shows.
ADAPTERS = {
    "adapter-all": dict(r=4, lora_alpha=1, target_modules=PROJECTIONS),
    "adapter-attention": dict(r=3, lora_alpha=12, target_modules=["q_proj", "v_proj"]),
    "adapter-rslora": dict(r=4, lora_alpha=8, target_modules=["o_proj", "down_proj"], use_rslora=True),
}
MATRICES = {
    # name -> shape, standard deviation, dtype of the source
    "even": ((64, 128), 0.1, "float32"),
    "two-nested-blocks": ((96, 200), 0.02, "bfloat16"),
    "short-last-block": ((7, 29), 3.0, "float32"),
    "odd-count": ((5, 13), 1.0, "float16"),
    "one-outlier-a-row": ((8, 192), 0.05, "float32"),
    "zero-block": ((4, 64), 0.5, "float32"),
}


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    config = dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
        vocab_size=96, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
    common.random_llama(800, **config).save_pretrained(FIXTURES / "base")
    rows = masked_rows()
    common.write_tensors(FIXTURES / "base.safetensors", row_logits(load_base(), rows))
    adapters = {name: write_adapter(name, options, rows, 810 + i) for i, (name, options) in enumerate(ADAPTERS.items())}
    common.write_json(FIXTURES / "reference.json", {"rows": rows, "adapters": adapters})
    write_nf4()
    write_qlora(rows)


def load_base() -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(FIXTURES / "base", dtype=torch.float32).eval()


def masked_rows() -> list[dict]:
    generator = torch.Generator().manual_seed(801)
    rows = []
    for length in (24, 9):
        ids = common.random_ids(generator, length, 96)
        rows.append({"input_ids": ids, "labels": [-100] * (length // 3) + ids[length // 3 :]})
    return rows


def row_logits(model, rows: list[dict], prefix: str = "logits") -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return {f"{prefix}.{i}": common.token_logps(model, row["input_ids"])[0] for i, row in enumerate(rows)}


def write_adapter(name: str, options: dict, rows: list[dict], seed: int) -> dict:
    save_random_adapter(name, options, seed)
    # What the files say counts: load them as any user would.
    model = PeftModel.from_pretrained(load_base(), FIXTURES / name, is_trainable=True).eval()
    tensors = row_logits(model, rows)
    with model.disable_adapter():
        off = row_logits(model, rows)
    assert all(torch.equal(off[key], value) for key, value in row_logits(load_base(), rows).items())
    loss = common.summed_loss(model, rows) / common.trained_count(rows)
    loss.backward()
    # Spelt as in adapter_model.safetensors: PEFT's name of the adapter in memory, `default`, is left out.
    tensors.update({f"grad.{key.replace('.default', '')}": parameter.grad
                    for key, parameter in model.named_parameters() if parameter.requires_grad})
    greedy, margin = common.greedy(model, rows[1]["input_ids"], 12)
    assert margin > 2e-3, margin
    scaling = next(module.scaling["default"] for module in model.modules() if hasattr(module, "lora_A"))
    merged = copy.deepcopy(model).merge_and_unload()
    for key, value in row_logits(merged, rows).items():
        assert common.max_difference(value, tensors[key]) < 2e-5
    before = dict(load_base().named_parameters())
    changed = {key: value for key, value in merged.named_parameters() if not torch.equal(value, before[key])}
    tensors.update({f"merged.{key}": value for key, value in changed.items()})
    common.write_tensors(FIXTURES / f"{name}.safetensors", tensors)
    moved = common.max_difference(tensors["logits.0"], off["logits.0"])
    assert moved > 0.1, moved
    return {
        "scaling": scaling, "loss": loss.item(), "greedy": greedy, "smallest_margin": margin,
        "merged_parameters": sorted(changed), "sensitivity": {"adapter_off": moved},
    }


def save_random_adapter(name: str, options: dict, seed: int) -> None:
    base = load_base()
    base.name_or_path = base.config._name_or_path = "tiny-llama"
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.1, bias="none", **options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    model.save_pretrained(FIXTURES / name, save_embedding_layers=False)
    (FIXTURES / name / "README.md").unlink(missing_ok=True)
    # PEFT keeps the targets in a set, whose order changes from run to run.
    config = FIXTURES / name / "adapter_config.json"
    fields = json.loads(config.read_text())
    fields["target_modules"] = options["target_modules"]
    config.write_text(json.dumps(fields, indent=2, sort_keys=True))


class Nf4:
    """The definition: 4-bit codes per block of 64, block maxima in 8 bits per block of 256."""

    CODE = np.array([
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
        -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ], dtype=np.float32)  # fmt: skip
    MIDPOINTS = ((CODE[1:].astype(np.float64) + CODE[:-1].astype(np.float64)) / 2).astype(np.float32)

    @staticmethod
    def dynamic_map() -> np.ndarray:
        """Signed 8-bit map: for e = 0..6 the 2^e means of evenly spaced borders in [0.1, 1], times 10^(e - 6), and 0 and 1."""
        values = [0.0, 1.0]
        for exponent in range(7):
            borders = np.linspace(0.1, 1.0, 2**exponent + 1)
            means = (borders[1:] + borders[:-1]) / 2 * 10.0 ** (exponent - 6)
            values += [*means, *-means]
        return np.sort(np.array(values, dtype=np.float32))

    @classmethod
    def quantise(cls, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes 0..15 of every element and the fp32 maximum of every block of 64; a tie goes to the lower code."""
        flat = values.astype(np.float32).reshape(-1)
        codes, maxima = np.empty(flat.size, dtype=np.uint8), []
        for start in range(0, flat.size, 64):
            block = flat[start : start + 64]
            maximum = np.abs(block).max()
            scaled = block * (np.float32(1) / maximum) if maximum > 0 else np.zeros_like(block)
            codes[start : start + 64] = (scaled[:, None] > cls.MIDPOINTS[None, :]).sum(axis=1)
            maxima.append(maximum)
        return codes, np.array(maxima, dtype=np.float32)

    @staticmethod
    def pack(codes: np.ndarray) -> np.ndarray:
        """Two codes in a byte, the first in the high half; an odd count is filled up with code 7, the zero."""
        padded = np.concatenate([codes, np.full(codes.size % 2, 7, dtype=np.uint8)])
        return (padded[0::2] << 4 | padded[1::2])[:, None]

    @classmethod
    def quantise_maxima(cls, maxima: np.ndarray, offset: np.float32) -> tuple[np.ndarray, np.ndarray]:
        """8-bit codes of maxima - offset (their mean) in blocks of 256, nearest entry of the map, and the second maxima."""
        entries, shifted = cls.dynamic_map(), maxima - offset
        codes, second = np.empty(shifted.size, dtype=np.uint8), []
        for start in range(0, shifted.size, 256):
            block = shifted[start : start + 256]
            maximum = np.abs(block).max()
            scaled = block / maximum if maximum > 0 else block
            codes[start : start + 256] = np.abs(scaled[:, None].astype(np.float64) - entries[None, :]).argmin(axis=1)
            second.append(maximum)
        return codes, np.array(second, dtype=np.float32)


def write_nf4() -> None:
    generator = torch.Generator().manual_seed(820)
    tensors, summary = {}, {}
    for name, (shape, std, dtype) in MATRICES.items():
        matrix = torch.randn(shape, generator=generator) * std
        if name == "one-outlier-a-row":
            matrix[:, 5] = 4.0
        if name == "zero-block":
            matrix[2] = 0.0
        # The source is stored as it is; it passes through fp16 before it is quantised, as Params4bit did when moved to a GPU.
        source = matrix.to(getattr(torch, dtype))
        packed, state, restored = nf4(source)
        tensors.update({
            f"{name}.source": source,
            f"{name}.packed": packed,
            f"{name}.absmax_codes": state.absmax,
            f"{name}.nested_absmax": state.state2.absmax,
            f"{name}.restored": restored,
        })
        summary[name] = {
            "shape": list(shape), "dtype": dtype, "offset": state.offset.item(),
            "largest_error": common.max_difference(restored, source.half().float()),
        }
    common.write_tensors(FIXTURES / "nf4.safetensors", tensors)
    common.write_json(FIXTURES / "nf4.json", {
        "matrices": summary, "quant_map": state.code.tolist(), "nested_quant_map": state.state2.code.tolist(),
    })


def nf4(source: torch.Tensor) -> tuple[torch.Tensor, "bnb.QuantState", torch.Tensor]:
    """Packed codes, their state and the restored values (fp32), checked against the definition."""
    values = source.half().float().reshape(1, -1)
    packed, state = bnb.quantize_4bit(values, blocksize=64, quant_type="nf4", compress_statistics=True)
    codes, maxima = Nf4.quantise(values.numpy())
    assert np.array_equal(Nf4.CODE, state.code.numpy())
    assert np.array_equal(Nf4.pack(codes), packed.numpy())
    entries = state.state2.code.numpy()
    assert np.allclose(Nf4.dynamic_map(), entries, rtol=1e-6, atol=0)
    absmax_codes, second = Nf4.quantise_maxima(maxima, np.float32(state.offset.item()))
    assert np.allclose(second, state.state2.absmax.numpy(), rtol=1e-6)
    distance = np.abs(absmax_codes.astype(int) - state.absmax.numpy().astype(int))
    assert distance.max() <= 1 and distance.mean() <= 0.25, distance
    state.absmax = torch.from_numpy(absmax_codes)
    restored = bnb.dequantize_4bit(packed, state)
    block = np.arange(codes.size) // 64
    maxima_back = entries[absmax_codes] * second[np.arange(absmax_codes.size) // 256] + np.float32(state.offset.item())
    assert np.allclose(restored.numpy().reshape(-1), Nf4.CODE[codes] * maxima_back[block], rtol=1e-5, atol=1e-7)
    return packed, state, restored.reshape(source.shape)


def write_qlora(rows: list[dict]) -> None:
    """Every projection restored from NF4, everything else as it was; adapter-all on top of it; merged into it."""
    tensors = row_logits(nf4_base(), rows, "logits_adapter_off")
    model = PeftModel.from_pretrained(nf4_base(), FIXTURES / "adapter-all").eval()
    tensors.update(row_logits(model, rows, "logits_adapter_on"))
    merged = model.merge_and_unload()
    for key, value in row_logits(merged, rows, "logits_adapter_on").items():
        assert common.max_difference(value, tensors[key]) < 2e-5
    tensors.update({f"merged.{key}": value for key, value in merged.named_parameters() if is_projection(key)})
    common.write_tensors(FIXTURES / "qlora.safetensors", tensors)


def nf4_base() -> LlamaForCausalLM:
    model = load_base()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if is_projection(name):
                parameter.copy_(nf4(parameter)[2])
    return model


def is_projection(name: str) -> bool:
    return any(f".{projection}." in name for projection in PROJECTIONS)


if __name__ == "__main__":
    main()
