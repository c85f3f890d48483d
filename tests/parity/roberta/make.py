"""A tiny random RoBERTa classifier in the layout of tomh/toxigen_roberta, and what transformers computes with it.

fixtures/model/          config.json, pytorch_model.bin, vocab.json, merges.txt (no tokenizer.json)
fixtures/reference.json  texts, their ids (RobertaTokenizer, cut to the model's maximum), logits row by row in fp32. That
                         positions counted from 0 would move them is asserted.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import deterministic, fresh_folder, write_json  # noqa: E402

HERE = Path(__file__).resolve().parent
TEXTS = [
    "people like them are kind",
    " they said it's 100 years old, and nobody knew",
    "",
    "naïve Übung 日本語 🙂\n\nnew line\ttab",
    "one two three four five six seven eight nine ten " * 12,
]
CORPUS = TEXTS + ["the people of the town said that they like the old house and the new one", "kindness is what they like"]


def main() -> None:
    deterministic()
    folder = fresh_folder(HERE / "fixtures") / "model"
    folder.mkdir()
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(CORPUS, vocab_size=400, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    bpe.save_model(str(folder))
    tokenizer = RobertaTokenizer.from_pretrained(str(folder))
    torch.manual_seed(7)
    config = RobertaConfig(
        vocab_size=bpe.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=66, type_vocab_size=1, num_labels=2, layer_norm_eps=1e-5,
        pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )
    model = RobertaForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "LayerNorm.weight" in name:
                weight.copy_(torch.rand_like(weight) + 0.5)
            elif name.endswith("bias"):
                weight.normal_(0, 0.3)
            else:
                weight.normal_(0, 0.25)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    raw = config.to_dict()
    raw["architectures"] = ["RobertaForSequenceClassification"]
    keep = ["architectures", "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
            "intermediate_size", "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "hidden_act",
            "pad_token_id", "bos_token_id", "eos_token_id"]
    (folder / "config.json").write_text(json.dumps({key: raw[key] for key in keep if key in raw}, indent=2) + "\n")

    rows = []
    for text in TEXTS:
        encoded = tokenizer(text, truncation=True, max_length=64)["input_ids"]
        with torch.no_grad():
            ids = torch.tensor([encoded])
            logits = model(ids).logits[0]
            shifted = model(ids, position_ids=torch.arange(len(encoded))[None]).logits[0]
        assert (logits - shifted).abs().max() > 1e-2, "positions do not matter"
        rows.append({"text": text, "input_ids": encoded, "logits": [float(x) for x in logits]})
    write_json(HERE / "fixtures" / "reference.json", {"max_tokens": 64, "rows": rows})


main()
