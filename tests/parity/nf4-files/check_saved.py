"""Loads a 4-bit folder that Camelid wrote with transformers and bitsandbytes: check_saved.py FOLDER REFERENCE.safetensors

Compares what bitsandbytes restores of every projection with the stored `weight.NAME`, bit for bit, and runs one forward pass.
"""

import sys

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, reference = sys.argv[1:]
    stored = load_file(reference)
    model = AutoModelForCausalLM.from_pretrained(folder, device_map="cpu").eval()
    equal = 0
    for key, parameter in model.named_parameters():
        if hasattr(parameter, "quant_state"):
            restored = bnb.dequantize_4bit(parameter.data, parameter.quant_state)
            assert torch.equal(restored, stored[f"weight.{key}"]), key
            equal += 1
    with torch.no_grad():
        assert model(input_ids=torch.tensor([[1, 5, 9]])).logits.isfinite().all()
    print(f"{equal} matrices equal")
