"""Token log-probabilities and preference losses, with gradients.

    fixtures/token-logps.safetensors  float64: hidden [2, 7, 6], weight [11, 6] (the output layer), logits, token_logps [2, 6],
                                      and gradients of the token-mean loss in logits, hidden and weight; labels int64
    fixtures/token-logps.json         the loss, the number of trained tokens, and a case of extreme logits
    fixtures/preference.json          pair losses on given sequence log-probabilities: values, rewards, gradients (float64)
    fixtures/policy/, reference/      two tiny Llamas, and
    fixtures/dpo-model.json           pairs of token rows, with what TRL's DPOTrainer computes from them: loss, logged metrics
    fixtures/dpo-model.safetensors    `grad.LOSS.PARAMETER` of the policy (fp32)

The formulas of `preference.json` are written out here and asserted to give TRL's loss on the tiny models.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer
from trl.experimental.cpo import CPOTrainer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    write_token_logps()
    common.write_json(FIXTURES / "preference.json", preference_cases())
    write_dpo_model()


def write_token_logps() -> None:
    generator = torch.Generator().manual_seed(600)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    hidden = (draw(2, 7, 6) * 2).requires_grad_()
    weight = draw(11, 6).requires_grad_()
    input_ids = torch.randint(0, 11, (2, 7), generator=generator)
    labels = input_ids.clone()
    labels[0, :3] = labels[1, 0] = labels[1, 4] = labels[1, 6] = common.IGNORE_INDEX
    logits = hidden @ weight.T
    logits.retain_grad()
    logps = torch.log_softmax(logits[:, :-1], -1).gather(2, input_ids[:, 1:, None])[..., 0]
    trained = labels[:, 1:] != common.IGNORE_INDEX
    loss = -(logps * trained).sum() / trained.sum()
    loss.backward()
    common.write_tensors(FIXTURES / "token-logps.safetensors", {
        "hidden": hidden, "weight": weight, "input_ids": input_ids, "labels": labels, "logits": logits, "token_logps": logps,
        "grad.logits": logits.grad, "grad.hidden": hidden.grad, "grad.weight": weight.grad,
    })
    # exp() of these overflows or vanishes; the log-probabilities do not.
    extreme = torch.tensor([[1000.0, 0.0, -1000.0], [-3e4, -3e4, -3e4], [88.8, 88.7, -88.8]], dtype=torch.float64)
    common.write_json(FIXTURES / "token-logps.json", {
        "loss": loss.item(),
        "trained_tokens": int(trained.sum()),
        "extreme": {"logits": extreme.tolist(), "logps": torch.log_softmax(extreme, -1).tolist()},
    })


# Every loss takes the difference of log-ratios (chosen minus rejected, policy minus reference), summed over tokens, or the
# same of per-token means.
def dpo(delta, beta):
    return -F.logsigmoid(beta * delta)


def conservative_dpo(delta, beta, smoothing):
    return -(1 - smoothing) * F.logsigmoid(beta * delta) - smoothing * F.logsigmoid(-beta * delta)


def robust_dpo(delta, beta, smoothing):
    wrong, right = F.logsigmoid(-beta * delta), F.logsigmoid(beta * delta)
    return (-(1 - smoothing) * right + smoothing * wrong) / (1 - 2 * smoothing)


def hinge(delta, beta):
    return torch.relu(1 - beta * delta)


def ipo(delta, beta):
    return (delta - 1 / (2 * beta)) ** 2


# name -> formula, its options, whether log-probabilities are per-token means, TRL's name (none: TRL 1.16 has no such loss)
LOSSES = {
    "dpo": (dpo, dict(beta=0.1), False, "sigmoid"),
    "dpo-beta-0.5": (dpo, dict(beta=0.5), False, "sigmoid"),
    "dpo-norm": (dpo, dict(beta=5.0), True, "sigmoid_norm"),
    "conservative-dpo": (conservative_dpo, dict(beta=0.1, smoothing=0.1), False, None),
    "robust-dpo": (robust_dpo, dict(beta=0.1, smoothing=0.2), False, "robust"),
    "hinge": (hinge, dict(beta=0.1), False, "hinge"),
    "ipo": (ipo, dict(beta=0.1), True, "ipo"),
}


def pair_losses(name: str, policy, reference, lengths):
    """`policy` and `reference` are (chosen, rejected) summed log-probabilities [pairs]; `lengths` the token counts."""
    formula, options, per_token, _ = LOSSES[name]
    ratios = [p - r for p, r in zip(policy, reference)]
    if per_token:
        ratios = [ratio / length for ratio, length in zip(ratios, lengths)]
    return formula(ratios[0] - ratios[1], **options)


def preference_cases() -> dict:
    generator = torch.Generator().manual_seed(601)
    draw = lambda: -40 * torch.rand(6, generator=generator, dtype=torch.float64)  # noqa: E731
    inputs = {name: draw() for name in ("chosen_logps", "rejected_logps", "reference_chosen_logps", "reference_rejected_logps")}
    # Pair 0: policy = reference, as at the first step. Pairs 1 and 2: far apart, where a naive log(sigmoid) overflows.
    inputs["reference_chosen_logps"][0] = inputs["chosen_logps"][0]
    inputs["reference_rejected_logps"][0] = inputs["rejected_logps"][0]
    inputs["chosen_logps"][1], inputs["rejected_logps"][2] = -9000.0, -9000.0
    lengths = [torch.tensor(values, dtype=torch.float64) for values in ([5, 900, 12, 1, 30, 8], [9, 14, 900, 22, 3, 8])]
    cases = {}
    for name, (_, options, per_token, trl_name) in LOSSES.items():
        policy = [inputs[key].clone().requires_grad_() for key in ("chosen_logps", "rejected_logps")]
        reference = [inputs[key] for key in ("reference_chosen_logps", "reference_rejected_logps")]
        losses = pair_losses(name, policy, reference, lengths)
        losses.mean().backward()
        cases[name] = {
            "options": options,
            "per_token_means": per_token,
            "trl_loss_type": trl_name,
            "losses": losses.tolist(),
            "chosen_rewards": (options["beta"] * (policy[0] - reference[0])).tolist(),
            "rejected_rewards": (options["beta"] * (policy[1] - reference[1])).tolist(),
            "grad_of_mean": {"chosen_logps": policy[0].grad.tolist(), "rejected_logps": policy[1].grad.tolist()},
        }
    cases["simpo"] = simpo_case(inputs, lengths)
    return {
        "inputs": {name: values.tolist() for name, values in inputs.items()},
        "chosen_lengths": lengths[0].tolist(), "rejected_lengths": lengths[1].tolist(), "cases": cases,
    }


def simpo_case(inputs: dict, lengths: list) -> dict:
    """SimPO has no reference; asserted to be what TRL's (experimental) CPOTrainer computes from the same means."""
    beta, gamma = 2.0, 1.0
    policy = [inputs[key].clone().requires_grad_() for key in ("chosen_logps", "rejected_logps")]
    means = [logps / length for logps, length in zip(policy, lengths)]
    losses = -F.logsigmoid(beta * (means[0] - means[1]) - gamma)
    theirs = CPOTrainer.cpo_loss(
        SimpleNamespace(
            accelerator=SimpleNamespace(device="cpu"), loss_type="simpo", simpo_gamma=gamma, beta=beta, label_smoothing=0.0,
            alpha=0.0,
        ),
        *(mean.detach() for mean in means),
    )[0]
    assert torch.allclose(losses.detach(), theirs), (losses, theirs)
    losses.mean().backward()
    return {
        "options": {"beta": beta, "gamma": gamma},
        "per_token_means": True,
        "trl_loss_type": "simpo",
        "losses": losses.tolist(),
        "chosen_rewards": (beta * policy[0]).tolist(),
        "rejected_rewards": (beta * policy[1]).tolist(),
        "grad_of_mean": {"chosen_logps": policy[0].grad.tolist(), "rejected_logps": policy[1].grad.tolist()},
    }


def write_dpo_model() -> None:
    config = dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=64, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
    policy = common.random_llama(610, **config)
    reference = common.random_llama(610, **config)
    generator = torch.Generator().manual_seed(611)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.01)
    policy.save_pretrained(FIXTURES / "policy")
    reference.save_pretrained(FIXTURES / "reference")
    draw = lambda low, high: torch.randint(3, 64, (int(torch.randint(low, high, (1,), generator=generator)),), generator=generator).tolist()  # noqa: E731
    pairs = [{"prompt_ids": [1, *draw(2, 9)], "chosen_ids": [*draw(1, 12), 2], "rejected_ids": [*draw(1, 12), 2]} for _ in range(4)]
    results, tensors = {}, {}
    for name, (_, options, _, trl_name) in LOSSES.items():
        if trl_name is None:
            continue
        results[name], gradients = trl_loss(trl_name, options, pairs)
        tensors.update({f"grad.{name}.{parameter}": gradient for parameter, gradient in gradients.items()})
        ours = formula_loss(name, pairs, policy, reference)
        assert abs(ours - results[name]["loss"]) < 1e-5 * max(1.0, abs(ours)), (name, ours, results[name]["loss"])
    # Two losses are enough for the gradients of every parameter.
    tensors = {key: value for key, value in tensors.items() if key.startswith(("grad.dpo.", "grad.dpo-norm."))}
    common.write_tensors(FIXTURES / "dpo-model.safetensors", tensors)
    common.write_json(FIXTURES / "dpo-model.json", {
        "pairs": pairs,
        "logps": {
            "chosen": sequence_logps(policy, pairs, "chosen_ids").tolist(),
            "rejected": sequence_logps(policy, pairs, "rejected_ids").tolist(),
            "reference_chosen": sequence_logps(reference, pairs, "chosen_ids").tolist(),
            "reference_rejected": sequence_logps(reference, pairs, "rejected_ids").tolist(),
        },
        "trl": results,
    })


def formula_loss(name: str, pairs: list[dict], policy: LlamaForCausalLM, reference: LlamaForCausalLM) -> float:
    sides = ("chosen_ids", "rejected_ids")
    return pair_losses(
        name,
        [sequence_logps(policy, pairs, side) for side in sides],
        [sequence_logps(reference, pairs, side) for side in sides],
        [torch.tensor([len(pair[side]) for pair in pairs]) for side in sides],
    ).mean().item()


def sequence_logps(model: LlamaForCausalLM, pairs: list[dict], side: str) -> torch.Tensor:
    """Summed over the completion, end token included, every row alone."""
    with torch.no_grad():
        return torch.stack([
            common.token_logps(model, pair["prompt_ids"] + pair[side])[1][len(pair["prompt_ids"]) - 1 :].sum() for pair in pairs
        ])


def trl_loss(loss_type: str, options: dict, pairs: list[dict]) -> tuple[dict, dict[str, torch.Tensor]]:
    """One call of TRL's own loss on the pairs, with dropout-free fp32 models loaded from the folders."""
    load = lambda folder: LlamaForCausalLM.from_pretrained(FIXTURES / folder, dtype=torch.float32)  # noqa: E731
    with tempfile.TemporaryDirectory() as scratch:
        arguments = DPOConfig(
            output_dir=scratch, loss_type=loss_type, beta=options["beta"], label_smoothing=options.get("smoothing", 0.0),
            use_cpu=True, bf16=False, report_to="none", disable_tqdm=True,
        )
        trainer = DPOTrainer(
            model=load("policy"), ref_model=load("reference"), args=arguments, processing_class=word_tokenizer(),
            train_dataset=Dataset.from_list([{"prompt": "t5 ", "chosen": "t6", "rejected": "t7"}]),
        )
        trainer.model.train()
        loss = trainer.compute_loss(trainer.model, trainer.data_collator(pairs))
        loss.backward()
        logged = {key: values[0] for key, values in trainer._metrics["train"].items() if key.startswith(("rewards/", "logps/"))}
        return {"loss_type": loss_type, "options": options, "loss": loss.item(), **logged}, common.gradients(trainer.model)


def word_tokenizer() -> PreTrainedTokenizerFast:
    """TRL wants a tokenizer; the pairs above are ids already, so any will do."""
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{index}": index for index in range(3, 64)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )


if __name__ == "__main__":
    main()
