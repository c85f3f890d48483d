"""Model folders in 4 bits as transformers and bitsandbytes write them, and what their weights stand for.

    fixtures/double, fixtures/single   a tiny Llama with NF4 projections, with and without double quantisation
    fixtures/*.safetensors             `weight.NAME`: each projection restored by bitsandbytes, fp32; `logits.R` of the model
                                       with these weights
    fixtures/reference.json            rows

Sizes are multiples of 64 throughout: bitsandbytes' CPU build restores matrices wrongly whose rows are not.
"""

import sys
from pathlib import Path

import bitsandbytes.functional as bnb
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
CONFIG = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4, head_dim=16,
    vocab_size=64, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, tie_word_embeddings=True,
    rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
)


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    generator = torch.Generator().manual_seed(830)
    rows = [common.random_ids(generator, length, 64) for length in (20, 7)]
    source = FIXTURES / "source"
    common.random_llama(831, **CONFIG).save_pretrained(source)
    for name, double in (("double", True), ("single", False)):
        write_folder(name, double, source, rows)
    for path in source.iterdir():
        path.unlink()
    source.rmdir()
    common.write_json(FIXTURES / "reference.json", {"rows": rows})


def write_folder(name: str, double: bool, source: Path, rows: list[list[int]]) -> None:
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double, bnb_4bit_compute_dtype=torch.float32)
    quantised = AutoModelForCausalLM.from_pretrained(source, quantization_config=config, device_map="cpu", dtype=torch.float32)
    dense = LlamaForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    tensors = {}
    with torch.no_grad():
        for key, parameter in quantised.named_parameters():
            if hasattr(parameter, "quant_state"):
                restored = bnb.dequantize_4bit(parameter.data, parameter.quant_state)
                dense.get_parameter(key).copy_(restored)
                tensors[f"weight.{key}"] = restored
        for index, row in enumerate(rows):
            tensors[f"logits.{index}"] = common.token_logps(dense, row)[0]
    assert len(tensors) == 7 + len(rows)
    quantised.save_pretrained(FIXTURES / name)
    (FIXTURES / name / "generation_config.json").unlink()
    (FIXTURES / name / "model.safetensors").chmod(0o644)
    common.write_tensors(FIXTURES / f"{name}.safetensors", tensors)


if __name__ == "__main__":
    main()
