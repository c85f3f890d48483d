"""trl_pairs.py MODEL PAIRS [precompute]: TRL's DPOTrainer as it comes on a CPU, with a frozen copy or precomputed references."""

import json
import os
import re
import sys
import tempfile
import time

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer

STEPS, WARM_UP, PAIRS, MAX_TOKENS = (int(os.environ[f"BENCH_{name}"]) for name in ("STEPS", "WARM_UP", "PAIRS", "MAX_TOKENS"))
torch.set_num_threads(int(os.environ["BENCH_THREADS"]))

# The Tülu layout: a line feed after every turn but the last.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content | trim }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% if not loop.last or m.role != 'assistant' %}\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


class Clock(TrainerCallback):
    def __init__(self):
        self.begun, self.losses = [], []

    def on_step_begin(self, *_, **__):
        self.begun.append(time.time())

    def on_log(self, args, state, control, logs=None, **_):
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


class TimedTrainer(DPOTrainer):
    """Counts the pass of the reference over all pairs, which happens while the trainer is made."""

    reference_seconds = 0.0

    def _precompute_ref_logps(self, *arguments):
        started = time.time()
        dataset = super()._precompute_ref_logps(*arguments)
        self.reference_seconds += time.time() - started
        return dataset


def main(folder, path, *flags):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.pad_token = "<unk>"
    with open(path) as lines:
        rows = [json.loads(line) for line in lines]
    data = Dataset.from_list([{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows])
    clock = Clock()
    load = lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)  # noqa: E731
    precompute = "precompute" in flags
    with tempfile.TemporaryDirectory() as out:
        config = DPOConfig(
            output_dir=out, per_device_train_batch_size=PAIRS, max_steps=WARM_UP + STEPS, max_length=MAX_TOKENS, logging_steps=1,
            report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False, save_strategy="no", optim="adamw_torch_fused",
            learning_rate=1e-5, lr_scheduler_type="constant", beta=0.1, disable_tqdm=True, precompute_ref_log_probs=precompute,
        )
        trainer = TimedTrainer(
            model=load(), ref_model=None if precompute else load(), args=config, train_dataset=data, processing_class=tokenizer,
            callbacks=[clock],
        )
        # The pairs in file order, as everybody else takes them.
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        assert len(trainer.train_dataset) == len(rows), "pairs were dropped"
        trainer.train()
        ended = time.time()
    peak = re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read()).group(1)
    print(json.dumps({
        "pairsPerSecond": STEPS * PAIRS / (ended - clock.begun[WARM_UP]),
        "referenceSeconds": trainer.reference_seconds,
        "peakBytes": int(peak) * 1024,
        "losses": [clock.losses[0], clock.losses[-1]],
    }), flush=True)


main(*sys.argv[1:])
