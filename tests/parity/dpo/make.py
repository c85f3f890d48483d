"""Thirty steps of TRL's DPOTrainer, under two losses.

    fixtures/model/               the initial weights, a Hugging Face folder (fp32); the reference too
    fixtures/pairs.json           24 pairs of token ids and `order`: the pairs of every step
    fixtures/reference.json       settings, and per loss, by step: what TRL logs (loss, rewards, log-probabilities, grad_norm, lr);
                                  norms of the final weights
    fixtures/final.safetensors    final weights under the loss `dpo`

TRL's own training loop runs, its optimizer, schedule and clipping included; only the order of rows is given. Everything is fp32,
without dropout. The first step is not trained (lr 0): its loss is ln 2, and so is the second's.
"""

import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
VOCAB, PAIRS, STEPS, PAIRS_PER_STEP = 64, 24, 30, 4
WARMUP_STEPS = 3
# Our name -> TRL's, beta, peak learning rate, clipping norm: such that the loss falls to a quarter and clipping acts in some steps.
LOSSES = {"dpo": ("sigmoid", 0.1, 4e-3, 0.5), "dpo-norm": ("sigmoid_norm", 5.0, 5e-4, 1.5)}
LOGGED = (
    "loss", "grad_norm", "learning_rate", "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins",
    "logps/chosen", "logps/rejected",
)


def main() -> None:
    common.deterministic()
    common.fresh_folder(FIXTURES)
    config = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=VOCAB, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
    common.random_llama(700, std=0.1, embedding_std=0.5, **config).save_pretrained(FIXTURES / "model")
    pairs, order = toy_pairs(), step_order()
    common.write_json(FIXTURES / "pairs.json", {"pairs": pairs, "order": order})
    common.write_json(FIXTURES / "reference.json", {
        "settings": {
            "steps": STEPS, "pairs_per_step": PAIRS_PER_STEP, "warmup_ratio": WARMUP_STEPS / STEPS, "betas": [0.9, 0.999],
            "eps": 1e-8, "weight_decay": 0.0,
        },
        "losses": {name: train(name, pairs, order) for name in LOSSES},
    })


def toy_pairs() -> list[dict]:
    """The chosen answer counts on from the prompt's last token, the rejected one is anything; lengths differ a lot."""
    generator = torch.Generator().manual_seed(701)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))  # noqa: E731
    pairs = []
    for _ in range(PAIRS):
        prompt = [1, *(draw(5, 40) for _ in range(draw(2, 10)))]
        chosen = [*range(prompt[-1] + 1, prompt[-1] + 1 + draw(1, 12)), 2]
        rejected = [*(draw(40, VOCAB) for _ in range(draw(1, 12))), 2]
        pairs.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return pairs


def step_order() -> list[list[int]]:
    """Every epoch is a permutation of the pairs; steps are consecutive slices."""
    generator = torch.Generator().manual_seed(702)
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


def train(name: str, pairs: list[dict], order: list[list[int]]) -> dict:
    loss_type, beta, peak, max_grad_norm = LOSSES[name]
    load = lambda: LlamaForCausalLM.from_pretrained(FIXTURES / "model", dtype=torch.float32)  # noqa: E731
    record = Record()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = DPOConfig(
            output_dir=scratch, loss_type=loss_type, beta=beta, max_steps=STEPS, per_device_train_batch_size=PAIRS_PER_STEP,
            learning_rate=peak, lr_scheduler_type="linear", warmup_steps=WARMUP_STEPS, weight_decay=0.0, max_grad_norm=max_grad_norm,
            optim="adamw_torch", use_cpu=True, bf16=False, gradient_checkpointing=False, logging_steps=1, logging_first_step=True,
            save_strategy="no", report_to="none", disable_tqdm=True,
        )
        trainer = DPOTrainer(
            model=load(), ref_model=load(), args=arguments, processing_class=word_tokenizer(), callbacks=[record],
            train_dataset=Dataset.from_list([{"prompt": "t5 ", "chosen": "t6", "rejected": "t7"}]),
        )
        trainer.train_dataset = Dataset.from_list([pairs[place] for places in order for place in places])
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        trainer.train()
    history = record.history
    assert [len(values) for values in history.values()] == [STEPS] * len(LOGGED), {k: len(v) for k, v in history.items()}
    assert min(history["grad_norm"]) < max_grad_norm < max(history["grad_norm"]), (name, history["grad_norm"])
    assert 0.05 < history["loss"][-1] < 0.3, history["loss"]
    print(name, [round(value, 3) for value in history["loss"][::5]], flush=True)
    if name == "dpo":
        common.write_tensors(FIXTURES / "final.safetensors", dict(trainer.model.named_parameters()))
    norms = {key: parameter.detach().double().norm().item() for key, parameter in trainer.model.named_parameters()}
    settings = {"trl_loss_type": loss_type, "beta": beta, "peak": peak, "max_grad_norm": max_grad_norm}
    return {**settings, **history, "final_norms": norms}


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
