"""Scores rows with a reward model that Camelid wrote: check_reward.py FOLDER ROWS.json; prints one score a line.

Rows are lists of token ids. They go through transformers one by one, and then, where the folder names a padding token, all
together with padding; both have to agree.
"""

import json
import sys

import torch
from transformers import AutoModelForSequenceClassification

folder, rows = sys.argv[1], json.loads(open(sys.argv[2]).read())
torch.set_num_threads(1)
model = AutoModelForSequenceClassification.from_pretrained(folder, torch_dtype=torch.float32).eval()
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
