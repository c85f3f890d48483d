"""Scores rows with a reward model that Camelid wrote: check_reward.py FOLDER ROWS.json [COPY]; prints one score a line.

FOLDER is a model folder, or an adapter folder with a head; that is loaded with PEFT, which writes it to COPY again. Rows are lists of token ids. They go through transformers one by one, and then, where the folder names a padding token, all
together with padding; both have to agree.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

folder, rows = sys.argv[1], json.loads(open(sys.argv[2]).read())
torch.set_num_threads(1)
words = Path(folder, "adapter_config.json")
base = json.loads(words.read_text())["base_model_name_or_path"] if words.exists() else folder
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, torch_dtype=torch.float32).eval()
if words.exists():
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, folder).eval()
    model.save_pretrained(sys.argv[3])
assert model.config.num_labels == 1, model.config.num_labels
with torch.no_grad():
    alone = torch.stack([model(input_ids=torch.tensor([row])).logits[0, 0] for row in rows])
    pad = model.config.pad_token_id
    if pad is not None:
        longest = max(map(len, rows))
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        padded = model(input_ids=ids, attention_mask=mask).logits[:, 0]
        assert (padded - alone).abs().max() < 1e-5, (padded, alone)
print("\n".join(str(value) for value in alone.tolist()))
