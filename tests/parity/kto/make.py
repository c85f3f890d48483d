"""Thirty steps of TRL's KTOTrainer, and its formula on given log-probabilities.

    fixtures/model/               the initial weights, a Hugging Face folder (fp32); the reference too
    fixtures/rows.json            24 judged answers as token ids, each with an answer to another prompt, and `order`: the rows of
                                  every step
    fixtures/reference.json       settings, and by step: what TRL logs (loss, kl, rewards, log-probabilities, grad_norm, lr); null
                                  where a step has no row of a kind
    fixtures/final.safetensors    final weights
    fixtures/formula.json         losses, rewards and gradients of the mean on given log-probabilities (float64)

TRL's own training loop runs, its optimizer, schedule and clipping included; only the order of rows and the mismatched answers are
given. Everything is fp32, without dropout.
"""

import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import KTOConfig, KTOTrainer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
VOCAB, ROWS, STEPS, ROWS_PER_STEP, WARMUP_STEPS = 64, 24, 30, 4, 3
BETA, DESIRABLE, UNDESIRABLE, PEAK, MAX_GRAD_NORM = 0.1, 1.5, 0.8, 4e-3, 0.25
LOGGED = (
    "loss", "kl", "grad_norm", "learning_rate", "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen",
    "logps/rejected",
)


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    config = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=VOCAB, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
    common.random_llama(800, std=0.1, embedding_std=0.5, **config).save_pretrained(FIXTURES / "model")
    rows, order = toy_rows(), step_order()
    common.write_json(FIXTURES / "rows.json", {"rows": rows, "order": order})
    common.write_json(FIXTURES / "formula.json", formula())
    common.write_json(FIXTURES / "reference.json", {
        "settings": {
            "steps": STEPS, "rows_per_step": ROWS_PER_STEP, "warmup_ratio": WARMUP_STEPS / STEPS, "betas": [0.9, 0.999],
            "eps": 1e-8, "weight_decay": 0.0, "beta": BETA, "desirable_weight": DESIRABLE, "undesirable_weight": UNDESIRABLE,
            "peak": PEAK, "max_grad_norm": MAX_GRAD_NORM,
        },
        "history": train(rows, order),
    })


def toy_rows() -> list[dict]:
    """Desirable answers count on from the prompt's last token, the others are anything; lengths differ a lot."""
    generator = torch.Generator().manual_seed(801)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))  # noqa: E731
    rows = []
    for index in range(ROWS):
        prompt = [1, *(draw(5, 40) for _ in range(draw(2, 10)))]
        label = index % 3 != 2
        if label:
            answer = [*range(prompt[-1] + 1, prompt[-1] + 1 + draw(1, 12)), 2]
        else:
            answer = [*(draw(40, VOCAB) for _ in range(draw(1, 12))), 2]
        rows.append({"prompt_ids": prompt, "completion_ids": answer, "label": label})
    for index, row in enumerate(rows):
        row["KL_completion_ids"] = rows[(index + 7) % ROWS]["completion_ids"]
    return rows


def step_order() -> list[list[int]]:
    """Every epoch is a permutation of the rows; steps are consecutive slices."""
    generator = torch.Generator().manual_seed(803)
    flat = []
    while len(flat) < STEPS * ROWS_PER_STEP:
        flat += torch.randperm(ROWS, generator=generator).tolist()
    return [flat[step * ROWS_PER_STEP : (step + 1) * ROWS_PER_STEP] for step in range(STEPS)]


def formula() -> dict:
    """Equation 8 of the paper, as TRL writes it, with a baseline given; steps below assert that TRL computes the same."""
    generator = torch.Generator().manual_seed(802)
    labels = torch.tensor([True, False, True, True, False, False, True, False])
    reference = -40 * torch.rand(8, generator=generator, dtype=torch.float64) - 1
    # The first two rows are at the reference, the last two far from it.
    shift = torch.randn(8, generator=generator, dtype=torch.float64) * torch.tensor([0, 0, 1, 1, 5, 5, 300, 300])
    policy = (reference + shift).requires_grad_()
    cases = []
    for kl, beta, desirable, undesirable in [(0.0, 0.1, 1.0, 1.0), (2.5, 0.1, 1.33, 0.5), (0.7, 0.5, 1.0, 2.0)]:
        ratios = policy - reference
        good = desirable * (1 - F.sigmoid(beta * (ratios - kl)))
        bad = undesirable * (1 - F.sigmoid(beta * (kl - ratios)))
        losses = torch.where(labels, good, bad)
        (gradient,) = torch.autograd.grad(losses.mean(), policy)
        cases.append({
            "kl": kl, "beta": beta, "desirable_weight": desirable, "undesirable_weight": undesirable,
            "losses": losses.tolist(), "rewards": (beta * ratios).tolist(), "gradient_of_mean": gradient.tolist(),
        })
    return {
        "labels": labels.tolist(), "policy": policy.tolist(), "reference": reference.tolist(), "cases": cases,
    }


class Record(TrainerCallback):
    def __init__(self):
        self.history = {key: [] for key in LOGGED}

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs:
            for key, values in self.history.items():
                values.append(float(logs[key]) if key in logs else None)


def train(rows: list[dict], order: list[list[int]]) -> dict:
    load = lambda: LlamaForCausalLM.from_pretrained(FIXTURES / "model", dtype=torch.float32)  # noqa: E731
    record = Record()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = KTOConfig(
            output_dir=scratch, beta=BETA, desirable_weight=DESIRABLE, undesirable_weight=UNDESIRABLE, max_steps=STEPS,
            per_device_train_batch_size=ROWS_PER_STEP, learning_rate=PEAK, lr_scheduler_type="linear", warmup_steps=WARMUP_STEPS,
            weight_decay=0.0, max_grad_norm=MAX_GRAD_NORM, optim="adamw_torch", use_cpu=True, bf16=False,
            gradient_checkpointing=False, logging_steps=1, logging_first_step=True, save_strategy="no", report_to="none",
            disable_tqdm=True,
        )
        any_rows = [{"prompt": f"t{5 + index}", "completion": "t6", "label": index % 2 == 0} for index in range(ROWS_PER_STEP)]
        trainer = KTOTrainer(
            model=load(), ref_model=load(), args=arguments, processing_class=word_tokenizer(), callbacks=[record],
            train_dataset=Dataset.from_list(any_rows),
        )
        trainer.train_dataset = Dataset.from_list([rows[place] for places in order for place in places])
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        trainer.train()
    history = record.history
    assert [len(values) for values in history.values()] == [STEPS] * len(LOGGED), {k: len(v) for k, v in history.items()}
    assert min(history["grad_norm"]) < MAX_GRAD_NORM < max(history["grad_norm"]), history["grad_norm"]
    # The baseline matters in some steps and is held at 0 in others.
    assert sum(kl > 0.5 for kl in history["kl"]) > 4 and sum(kl == 0 for kl in history["kl"][2:]) > 4, history["kl"]
    print([round(value, 3) for value in history["loss"][::5]], [round(value, 2) for value in history["kl"][::3]], flush=True)
    common.write_tensors(FIXTURES / "final.safetensors", dict(trainer.model.named_parameters()))
    return history


def word_tokenizer() -> PreTrainedTokenizerFast:
    """TRL wants a tokenizer; the rows above are ids already, so any will do."""
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{index}": index for index in range(3, VOCAB)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )


if __name__ == "__main__":
    main()
