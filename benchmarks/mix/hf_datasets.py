"""The peer: Hugging Face datasets over the same raw files - load, convert (map), sample, keyword filter, exact
deduplication, write JSON lines. The same rules as the preset where a line of map can say them; no best-path trees
(oasst1 is left out of its input), no lineage, no report.

    python benchmarks/mix/hf_datasets.py RAW OUT [PROCESSES]
"""
import json, os, random, resource, sys, time

raw, out = sys.argv[1], sys.argv[2]
processes = int(sys.argv[3]) if len(sys.argv) > 3 else 2
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["HF_DATASETS_CACHE"] = os.path.join(out, "cache")
import datasets

datasets.disable_progress_bars()
started = time.time()
KEYWORDS = [k.lower() for k in (
    "OpenAI", "Open AI", "ChatGPT", "Chat GPT", "GPT-3", "GPT3", "GPT 3", "GPT-4", "GPT4", "GPT 4", "GPT-3.5", "GPT3.5",
    "GPT 3.5", "BingChat", "Bing Chat", "BARD", "Palm", "Anthropic", "Claude", "LAION", "Open Assistant", "OpenAssistant")]


def load(kind, *files):
    return datasets.load_dataset(kind, data_files=[os.path.join(raw, f) for f in files], split="train", num_proc=None)


def messages(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def flan(name):
    def convert(row, i):
        prompt = row["inputs"]
        if not prompt.endswith("\n") and not prompt.rstrip().endswith(":"):
            prompt += "\n"
        return {"dataset": name, "id": f"{name}_{i}", "messages": messages(("user", prompt), ("assistant", row["targets"]))}
    return convert


def alpaca(name):
    def convert(row, i):
        prompt = row["instruction"].strip() + "\n\n" + (row["input"].strip() + "\n\n" if row["input"].strip() else "")
        return {"dataset": name, "id": f"{name}_{i}", "messages": messages(("user", prompt), ("assistant", row["output"].strip()))}
    return convert


def chat(name, key):
    def convert(row, i):
        roles = {"human": "user", "gpt": "assistant"}
        return {"dataset": name, "id": f"{name}_{row[key]}", "messages": [{"role": roles[t["from"]], "content": t["value"]} for t in row["conversations"]]}
    return convert


def lima(row, i):
    a, b = row["conversations"][:2]
    return {"dataset": "lima", "id": f"lima_{i}", "messages": messages(("user", a), ("assistant", b))}


def orca(row, i):
    return {"dataset": "open_orca", "id": f"open_orca_{row['id']}", "messages": messages(("system", row["system_prompt"]), ("user", row["question"]), ("assistant", row["response"]))}


def science(row, i):
    return {"dataset": "science." + row["dataset"], "id": f"science_{i}", "messages": messages(("user", row["input"]), ("assistant", row["output"]))}


def keep(row):
    return not any(k in m["content"].lower() for m in row["messages"] for k in KEYWORDS)


plan = [
    (load("json", "flan_v2/tulu_v2_resampled_flan_50k.jsonl"), flan("flan_v2"), None),
    (load("json", "cot/cot_zsopt.jsonl"), flan("cot"), 25000),
    (load("json", "cot/cot_fsopt.jsonl"), flan("cot"), 25000),
    (load("json", "lima/train.jsonl"), lima, None),
    (load("json", "gpt4_alpaca/alpaca_gpt4_data.json"), alpaca("gpt4_alpaca"), 20000),
    (load("json", "code_alpaca/code_alpaca_20k.json"), alpaca("code_alpaca"), None),
    (load("json", "sharegpt/sharegpt_html_cleaned_and_split_4096.json"), chat("sharegpt", "id"), None),
    (load("json", "wizardlm/WizardLM_evol_instruct_V2_143k.json"), chat("wizardlm", "idx"), 30000),
    (load("parquet", "open_orca/1M-GPT4-Augmented.parquet"), orca, 30000),
    (load("json", "science/science_train.jsonl"), science, None),
]
loaded = time.time()
random.seed(42)
parts = []
for rows, convert, quota in plan:
    if quota is not None and quota < len(rows):
        rows = rows.select(random.sample(range(len(rows)), quota))
    parts.append(rows.map(convert, with_indices=True, remove_columns=rows.column_names, num_proc=processes))
mixture = datasets.concatenate_datasets(parts).filter(keep, num_proc=processes)
seen = set()


def first(row):
    key = hash(json.dumps(row["messages"]))
    if key in seen:
        return False
    seen.add(key)
    return True


mixture = mixture.filter(first)
mixture.to_json(os.path.join(out, "train.jsonl"), num_proc=processes)
children = resource.getrusage(resource.RUSAGE_CHILDREN)
own = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "rows": len(mixture), "seconds": round(time.time() - started, 1), "load_seconds": round(loaded - started, 1),
    "cpu_seconds": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 1),
    "peak_mb": round((own.ru_maxrss + children.ru_maxrss) / 1024),
}))
