"""trl_rows.py MODEL ROWS: TRL's SFTTrainer, answers trained, batch 8, at most 1,024 tokens, as it comes on a CPU."""

import sys
import tempfile
import time

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

import common
import torch

# The Tülu layout with the answers marked, so that TRL trains them and nothing else.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content | trim }}{% endif %}\n{% endfor %}"
)
WARM_UP = 4


class Clock(TrainerCallback):
    def __init__(self):
        self.begun, self.losses = [], []

    def on_step_begin(self, *_, **__):
        self.begun.append(time.time())

    def on_log(self, args, state, control, logs=None, **_):
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def main(folder, path):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.pad_token = "<unk>"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    total = WARM_UP + common.STEPS
    data = Dataset.from_list([{"messages": messages} for messages in common.rows(path)[: total * 8]])
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        config = SFTConfig(
            output_dir=out, per_device_train_batch_size=8, max_steps=total, max_length=1024, logging_steps=1, report_to=[],
            use_cpu=True, bf16=False, gradient_checkpointing=False, save_strategy="no", optim="adamw_torch_fused",
            learning_rate=1e-4, lr_scheduler_type="constant", assistant_only_loss=True, disable_tqdm=True,
        )
        trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer, callbacks=[clock])
        # The rows in file order, as everybody else takes them.
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
        lengths = [min(1024, len(ids)) for ids in trainer.train_dataset["input_ids"]]
        trainer.train()
        ended = time.time()
    tokens = sum(lengths[WARM_UP * 8 : total * 8])
    common.result(tokens, ended - clock.begun[WARM_UP], [clock.losses[0], clock.losses[-1]])


if __name__ == "__main__":
    main(*sys.argv[1:])
