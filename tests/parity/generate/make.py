"""Greedy decoding of a padded batch, on the model `gqa-llama3-bf16-sharded-v4` of ../llama (fp32 arithmetic).

    fixtures/reference.json         prompts, and cases {name, eos_token_ids, max_new_tokens, outputs, finish_reasons}
    fixtures/reference.safetensors  `logits_after.I` [vocab]: next-token logits of prompt I

Outputs are those of every prompt alone, without the end token; transformers' left-padded batch with a KV cache must agree. End tokens of some cases are chosen among the tokens that the model does produce, so rows stop at different times.
"""

import sys
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
MODEL = "gqa-llama3-bf16-sharded-v4"
PAD = 0


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    folder = FIXTURES.parent.parent / "llama" / "fixtures" / MODEL / "model"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(700)
    prompts = [clear_prompt(model, generator, length, 32) for length in (1, 4, 11, 19, 30)]
    free = [common.greedy(model, prompt, 32)[0] for prompt in prompts]
    stop_one, stop_two = free[1][5], free[3][12]
    assert min(stop_one, stop_two) > 2
    cases = [
        case(model, "length", prompts, 32, []),
        case(model, "one-end-token", prompts, 32, [stop_one]),
        case(model, "two-end-tokens", prompts, 32, [stop_one, stop_two]),
        case(model, "ends-at-once", prompts, 8, [row[0] for row in free[:2]]),
        case(model, "one-token", prompts, 1, []),
    ]
    # The next-token logits of every prompt, which a batch has to reproduce whatever its padding.
    with torch.no_grad():
        tensors = {f"logits_after.{i}": model(torch.tensor([p])).logits[0, -1] for i, p in enumerate(prompts)}
    common.write_tensors(FIXTURES / "reference.safetensors", tensors)
    common.write_json(FIXTURES / "reference.json", {"model": MODEL, "prompts": prompts, "cases": cases})


def clear_prompt(model: LlamaForCausalLM, generator: torch.Generator, length: int, count: int) -> list[int]:
    """A prompt whose greedy path has no near tie: rounding in another engine cannot change a token."""
    while True:
        prompt = common.random_ids(generator, length, model.config.vocab_size)
        if length == 1:
            prompt = [int(torch.randint(3, model.config.vocab_size, (1,), generator=generator))]
        if common.greedy(model, prompt, count)[1] > 5e-3:
            return prompt


def case(model: LlamaForCausalLM, name: str, prompts: list[list[int]], max_new_tokens: int, ends: list[int]) -> dict:
    outputs, reasons = [], []
    for prompt in prompts:
        tokens, _ = common.greedy(model, prompt, max_new_tokens)
        stops = [index for index, token in enumerate(tokens) if token in ends]
        outputs.append(tokens[: stops[0]] if stops else tokens)
        reasons.append("stop" if stops else "length")
    check_padded_batch(model, prompts, outputs, reasons, max_new_tokens, ends)
    return {
        "name": name, "eos_token_ids": ends, "max_new_tokens": max_new_tokens, "outputs": outputs, "finish_reasons": reasons,
    }


def check_padded_batch(model, prompts, outputs, reasons, max_new_tokens, ends) -> None:
    width = max(len(prompt) for prompt in prompts)
    model.generation_config.eos_token_id = ends or None
    generated = model.generate(
        torch.tensor([[PAD] * (width - len(prompt)) + prompt for prompt in prompts]),
        attention_mask=torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]),
        do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=PAD,
    )
    for row, output, reason in zip(generated[:, width:].tolist(), outputs, reasons):
        assert row[: len(output)] == output, (row, output)
        assert reason == "length" or row[len(output)] in ends


if __name__ == "__main__":
    main()
