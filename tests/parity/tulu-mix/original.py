"""Runs the original Tulu conversion scripts, unmodified, and prints what the mixer must reproduce.

    git -C open-instruct worktree add /somewhere b75018787     # allenai/open-instruct, 29 January 2024
    CAMELID_PARITY_SOURCES=/tmp/tulu-sources npx vitest run tests/parity/tulu-mix   # writes the raw files
    python tests/parity/tulu-mix/original.py tulu_v2 /somewhere /tmp/tulu-sources > tests/parity/tulu-mix/expected.json
    CAMELID_PARITY_REAL=/tmp/real-sources npx vitest run tests/parity/tulu-mix      # the same from ../shared/data
    python tests/parity/tulu-mix/original.py tulu_v1 /somewhere /tmp/real-sources > tests/parity/tulu-mix/expected-real.json

Needs pandas, pyarrow, openpyxl, transformers. The scripts see a copy of the folder. ShareGPT: the splitting functions
of the original module are called directly (its main() starts 128 processes) with the folder's tokenizer.
"""
import collections, hashlib, importlib.util, json, os, runpy, shutil, sys, tempfile

mixture, scripts, sources = sys.argv[1], os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
work = tempfile.mkdtemp()
raw = os.path.join(work, "raw")
shutil.copytree(sources, raw)
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def run(script, *arguments):
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.join(scripts, script)))
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        runpy.run_path(os.path.join(scripts, script), run_name="__main__")
    finally:
        sys.stdout = stdout


def module(script):
    spec = importlib.util.spec_from_file_location("original", os.path.join(scripts, script))
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def digest(lines):
    return {"rows": len(lines), "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
            "first": lines[0] if lines else None, "last": lines[-1] if lines else None}


def by_source(path):
    lines = collections.defaultdict(list)
    for line in open(path):
        lines[json.loads(line)["dataset"].split(".")[0]].append(line)
    return {name: digest(rows) for name, rows in sorted(lines.items())}


expected = {"script": "allenai/open-instruct @ b75018787", "python": sys.version.split()[0]}

if mixture == "tulu_v2":
    resampled = os.path.join(work, "resampled.jsonl")
    run("scripts/resample_flan_v2.py", "--flan_v2_data_dir", os.path.join(raw, "flan_v2"), "--output_path", resampled)
    expected["flan_resampled"] = digest(open(resampled).readlines())

from transformers import PreTrainedTokenizerFast
tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(sources, "tokenizer", "tokenizer.json"))
splitter = module("scripts/split_sharegpt_conversations.py")
for length in (4096, 2048):
    splitter.tokenizer, splitter.max_length = tokenizer, length
    pieces = []
    for part in (1, 2):
        for conversation in json.load(open(os.path.join(raw, "sharegpt", f"sg_90k_part{part}_html_cleaned.json"))):
            pieces.extend(splitter.split_one_sample(conversation))
    pieces = splitter.filter_invalid_roles(pieces)
    with open(os.path.join(raw, "sharegpt", f"sharegpt_html_cleaned_and_split_{length}.json"), "w") as out:
        json.dump(pieces, out, indent=2)

out = os.path.join(work, "processed")
run("open_instruct/reformat_datasets.py", "--raw_data_dir", raw, "--output_dir", out, "--dataset", mixture)
expected["written"] = by_source(os.path.join(out, mixture, f"{mixture}_data.jsonl"))
filtered = os.path.join(out, mixture, f"{mixture}_filtered_data.jsonl")
if os.path.exists(filtered):
    expected["filtered"] = by_source(filtered)
json.dump(expected, sys.stdout, indent=1)
print()
shutil.rmtree(work)
