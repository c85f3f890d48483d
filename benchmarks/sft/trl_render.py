"""trl_render.py MODEL ROWS: what TRL does with all rows before its first step (template, tokens, masks), as it comes."""

import contextlib
import io
import json
import sys
import tempfile
import time

import common
from datasets import Dataset, disable_caching
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer
from trl_rows import TEMPLATE

WARM_UP = 2000


def main(folder, path):
    disable_caching()  # the timed pass does all the work
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.pad_token = "<unk>"
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = [{"messages": messages} for messages in common.rows(path)]
    for part in (rows[:WARM_UP], rows):
        data = Dataset.from_list(part)
        with tempfile.TemporaryDirectory() as out:
            config = SFTConfig(
                output_dir=out, max_length=None, report_to=[], use_cpu=True, bf16=False, assistant_only_loss=True, disable_tqdm=True
            )
            started, cpu = time.time(), time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
            seconds, cpu = time.time() - started, time.process_time() - cpu
    tokens = sum(len(ids) for ids in trainer.train_dataset["input_ids"])
    print(json.dumps({"rows": len(rows), "tokens": tokens, "seconds": seconds, "cpuSeconds": cpu}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
