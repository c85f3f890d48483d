"""Thirty steps of TRL's RewardTrainer, and the scores of the model before and after.

    fixtures/model/               the initial weights, a LlamaForSequenceClassification with one label (fp32)
    fixtures/pairs.json           24 pairs of token ids and `order`: the pairs of every step
    fixtures/reference.json       settings, scores of all pairs before, and by step: what TRL logs (loss, accuracy, margin,
                                  mean_reward, grad_norm, lr)
    fixtures/final.safetensors    final weights

TRL's own training loop runs, its optimizer, schedule and clipping included; only the order of pairs is given. Everything is fp32,
without dropout. Padding is token 0, which no row has: a row's score is read at its last token.
"""

import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast, TrainerCallback
from trl import RewardConfig, RewardTrainer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
VOCAB, PAIRS, STEPS, PAIRS_PER_STEP, WARMUP_STEPS = 64, 24, 30, 4, 3
CENTER, PEAK, MAX_GRAD_NORM = 0.01, 4e-3, 1.0
LOGGED = ("loss", "grad_norm", "learning_rate", "accuracy", "margin", "mean_reward")


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    random_classifier().save_pretrained(FIXTURES / "model")
    pairs, order = toy_pairs(), step_order()
    common.write_json(FIXTURES / "pairs.json", {"pairs": pairs, "order": order})
    model = LlamaForSequenceClassification.from_pretrained(FIXTURES / "model", dtype=torch.float32).eval()
    scores = {side: [score(model, pair[f"{side}_ids"]) for pair in pairs] for side in ("chosen", "rejected")}
    common.write_json(FIXTURES / "reference.json", {
        "settings": {
            "steps": STEPS, "warmup_ratio": WARMUP_STEPS / STEPS, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0,
            "center_rewards": CENTER, "peak": PEAK, "max_grad_norm": MAX_GRAD_NORM,
        },
        "scores": scores,
        "history": train(pairs, order),
    })


def random_classifier() -> LlamaForSequenceClassification:
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=VOCAB, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"}, num_labels=1,
    )
    model = LlamaForSequenceClassification(config).float().eval()
    generator = torch.Generator().manual_seed(900)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            else:
                std = 0.5 if "embed_tokens" in name else 0.1
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    return model


def score(model: LlamaForSequenceClassification, ids: list[int]) -> float:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, 0].item()


def toy_pairs() -> list[dict]:
    """The chosen answer counts on from the prompt's last token, the rejected one is anything; lengths differ a lot."""
    generator = torch.Generator().manual_seed(901)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))  # noqa: E731
    pairs = []
    for _ in range(PAIRS):
        prompt = [1, *(draw(5, 40) for _ in range(draw(2, 10)))]
        chosen = [*range(prompt[-1] + 1, prompt[-1] + 1 + draw(1, 12)), 2]
        rejected = [*(draw(10, VOCAB) for _ in range(draw(1, 12))), 2]
        pairs.append({"prompt": len(prompt), "chosen_ids": prompt + chosen, "rejected_ids": prompt + rejected})
    return pairs


def step_order() -> list[list[int]]:
    """Every epoch is a permutation of the pairs; steps are consecutive slices."""
    generator = torch.Generator().manual_seed(902)
    flat = []
    while len(flat) < STEPS * PAIRS_PER_STEP:
        flat += torch.randperm(PAIRS, generator=generator).tolist()
    return [flat[step * PAIRS_PER_STEP : (step + 1) * PAIRS_PER_STEP] for step in range(STEPS)]


class Record(TrainerCallback):
    def __init__(self):
        self.history = {key: [] for key in LOGGED}

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs:
            for key, values in self.history.items():
                values.append(float(logs[key]))


def train(pairs: list[dict], order: list[list[int]]) -> dict:
    record = Record()
    model = LlamaForSequenceClassification.from_pretrained(FIXTURES / "model", dtype=torch.float32)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = RewardConfig(
            output_dir=scratch, center_rewards_coefficient=CENTER, max_steps=STEPS, per_device_train_batch_size=PAIRS_PER_STEP,
            learning_rate=PEAK, lr_scheduler_type="linear", warmup_steps=WARMUP_STEPS, weight_decay=0.0,
            max_grad_norm=MAX_GRAD_NORM, optim="adamw_torch", use_cpu=True, bf16=False, gradient_checkpointing=False,
            logging_steps=1, logging_first_step=True, save_strategy="no", report_to="none", disable_tqdm=True,
        )
        trainer = RewardTrainer(
            model=model, args=arguments, processing_class=word_tokenizer(), callbacks=[record],
            train_dataset=Dataset.from_list([{"chosen": "t5 t6", "rejected": "t5 t7"}]),
        )
        trainer.train_dataset = Dataset.from_list([pairs[place] for places in order for place in places])
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        trainer.train()
    history = record.history
    assert [len(values) for values in history.values()] == [STEPS] * len(LOGGED), {k: len(v) for k, v in history.items()}
    assert min(history["grad_norm"]) < MAX_GRAD_NORM < max(history["grad_norm"]), history["grad_norm"]
    assert history["loss"][-1] < 0.4 * history["loss"][0], history["loss"]
    print([round(value, 3) for value in history["loss"][::5]], flush=True)
    common.write_tensors(FIXTURES / "final.safetensors", dict(trainer.model.named_parameters()))
    return history


def word_tokenizer() -> PreTrainedTokenizerFast:
    """TRL wants a tokenizer; the pairs above are ids already, so any will do."""
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"t{index}": index for index in range(3, VOCAB)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )


if __name__ == "__main__":
    main()
