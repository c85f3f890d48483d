// What is measured: per case the commands of Camelid, of its peers and of the limit, and how a rate is read from what each prints.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { madeRows } from "../adapters/made-rows.mjs";
import { preparePairs } from "../dpo/prepare-pairs.mjs";
import { makePrompts } from "../generate/make-prompts.mjs";
import { makeModel } from "../sft/make-model.mjs";

const benchmarks = fileURLToPath(new URL("..", import.meta.url));
const node = (script, ...args) => ["node", join(benchmarks, script), ...args.map(String)];
const MAX_TOKENS = 1024;
const PAIRS_A_STEP = 4;
const PAIRS_WARM_UP = 3;
const LORA_RANK = 16;
const ITEMS = 2;

const SIZES = {
  default: {
    rows: { hidden: 512, intermediate: 1376, layers: 8, heads: 8 },
    dense: { hidden: 768, intermediate: 2048, layers: 12, heads: 12 },
    ...{ pairs: "41m", loraTokens: 4096, newTokens: 128, texts: 3000, rawScale: 0.5 },
  },
  tiny: {
    rows: { hidden: 64, intermediate: 128, layers: 2, heads: 2 },
    dense: { hidden: 128, intermediate: 256, layers: 2, heads: 2 },
    ...{ pairs: "tiny", loraTokens: 512, newTokens: 8, texts: 600, rawScale: 0.004 },
  },
};

export const CASES = ["dense", "sft", "dpo", "lora", "qlora", "generate", "render", "mix"];

/** What every contestant finds in its environment. */
export const environment = ({ threads, steps, size }) => ({
  BENCH_THREADS: threads,
  BENCH_STEPS: steps,
  BENCH_WARM_UP: String(PAIRS_WARM_UP),
  BENCH_PAIRS: String(PAIRS_A_STEP),
  BENCH_MAX_TOKENS: String(MAX_TOKENS),
  BENCH_NEW_TOKENS: String(SIZES[size].newTokens),
  RAYON_NUM_THREADS: threads,
  OMP_NUM_THREADS: threads,
  HF_HUB_OFFLINE: "1",
});

/**
 * Makes models and inputs under `work` and says what to run.
 * @returns {Promise<{ name: string, title: string, unit: string, goal?: string,
 *   contestants: Record<string, { command: string[], rate: (result: any) => number }> }[]>} the first is Camelid's; `limit` last
 */
export async function prepareCases(work, wanted, { data, pairs, python, threads, steps, size }) {
  const sizes = SIZES[size];
  const has = (...names) => names.some((name) => wanted.includes(name));
  const py = (script, ...args) =>
    python === undefined ? undefined : [python, join(benchmarks, script), ...args.map(String)];
  const texts = readFileSync(data, "utf8").trim().split("\n").slice(0, sizes.texts).join("\n");
  const rows = join(work, "rows.jsonl");
  writeFileSync(rows, `${texts}\n`);
  const cases = [];
  const perSecond = ({ perSecond }) => perSecond;
  const tokens = ({ tokensPerSecond }) => tokensPerSecond;
  const add = (name, title, unit, contestants, limit) => {
    const present = Object.entries(contestants).filter(([, { command }]) => command !== undefined);
    cases.push({
      ...{ name, title, unit },
      contestants: Object.fromEntries([...present, ["limit", { rate: perSecond, ...limit }]]),
    });
  };

  if (has("dense")) {
    const model = await makeModel(join(work, "dense"), texts, sizes.dense);
    add(
      ...["dense", "SFT, dense 4 x 512", "tokens/s"],
      {
        camelid: { command: node("sft/camelid-dense.mjs", model), rate: tokens },
        transformers: { command: py("sft/hf_dense.py", model), rate: tokens },
      },
      { command: node("speed/limit.mjs", "dense", model) },
    );
  }
  const model = has("sft", "lora", "qlora", "generate", "render")
    ? await makeModel(join(work, "rows"), texts, sizes.rows)
    : "";
  if (has("sft")) {
    add(
      ...["sft", "SFT, real rows, batch 8", "tokens/s"],
      {
        camelid: { command: node("sft/camelid-rows.mjs", model, rows), rate: tokens },
        "TRL SFTTrainer": { command: py("sft/trl_rows.py", model, rows), rate: tokens },
        "packed PyTorch": { command: py("sft/packed_rows.py", model, rows), rate: tokens },
      },
      { command: node("speed/limit.mjs", "rows", model, rows) },
    );
  }
  if (has("dpo")) {
    mkdirSync(join(work, "dpo"));
    const count = (PAIRS_WARM_UP + Number(steps)) * PAIRS_A_STEP;
    const made = await preparePairs(join(work, "dpo"), {
      data: pairs,
      size: sizes.pairs,
      count,
      maxTokens: MAX_TOKENS,
    });
    const rate = ({ pairsPerSecond }) => pairsPerSecond;
    add(
      ...["dpo", "DPO steps, real pairs, 4 a step", "pairs/s"],
      {
        camelid: { command: node("dpo/camelid-pairs.mjs", made.model, made.pairs), rate },
        "TRL DPOTrainer": { command: py("dpo/trl_pairs.py", made.model, made.pairs), rate },
      },
      { command: node("speed/limit.mjs", "pairs", made.model, made.pairs) },
    );
  }
  if (has("lora", "qlora")) {
    const { vocab_size } = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
    const made = madeRows(sizes.loraTokens, vocab_size).map(({ inputIds, labels }) => ({
      inputIds: [...inputIds],
      labels: [...labels],
    }));
    const madeFile = join(work, "made.json");
    writeFileSync(madeFile, JSON.stringify(made));
    const flags = ["--model", model, "--threads", threads, "--tokens", sizes.loraTokens, "--rank", LORA_RANK];
    for (const [name, method] of [
      ["lora", "LoRA"],
      ["qlora", "QLoRA"],
    ]) {
      if (!has(name)) continue;
      const command = node("adapters/lora-step.mjs", ...flags, "--rounds", 2, "--json", "--only", method);
      add(
        ...[name, `${method} step, ${sizes.loraTokens} tokens, rank ${LORA_RANK}`, "tokens/s"],
        {
          camelid: { command, rate: (result) => (1000 * sizes.loraTokens) / result[method].milliseconds },
          "transformers + PEFT": {
            command: py("speed/peft_step.py", model, madeFile, LORA_RANK, name),
            rate: ({ milliseconds }) => (1000 * sizes.loraTokens) / milliseconds,
          },
        },
        { command: node("speed/limit.mjs", name, model, sizes.loraTokens, LORA_RANK) },
      );
    }
  }
  if (has("generate")) {
    const prompts = await makePrompts(work, model, texts, ITEMS);
    const kvBytes = 512 * 2 ** 20;
    add(
      ...["generate", `Generation, 32 prompts of 16-512 tokens, ${sizes.newTokens} new ones`, "new tokens/s"],
      {
        camelid: {
          command: node("generate/camelid-generate.mjs", model, prompts, "bfloat16", kvBytes),
          rate: perSecond,
        },
        transformers: { command: py("generate/hf_generate.py", model, prompts, "bfloat16"), rate: perSecond },
      },
      { command: node("speed/limit.mjs", "generate", model, prompts) },
    );
  }
  if (has("render")) {
    const rate = (result) => result.rows / result.seconds;
    add(
      ...["render", "Template, tokens, labels", "rows/s"],
      {
        camelid: { command: node("sft/render_rows.mjs", "camelid", model, rows), rate },
        TRL: { command: py("sft/trl_render.py", model, rows), rate },
      },
      { command: node("sft/render_rows.mjs", "library", model, rows), rate },
    );
  }
  if (has("mix")) {
    const raw = join(work, "raw");
    execFileSync("node", [join(benchmarks, "mix/make-raw.mjs"), raw, String(sizes.rawScale)], {
      stdio: "ignore",
    });
    let megabytes = Number.NaN; // of raw files, as Camelid's own run counts them
    add(
      ...["mix", "Mixing: draw, convert, filter, exact deduplication, write", "raw MB/s"],
      {
        camelid: {
          command: node("mix/measure.mjs", raw, "--threads", threads, "plain"),
          rate: (result) => {
            megabytes = result.raw_mb;
            return result.raw_mb / result.seconds;
          },
        },
        "Hugging Face datasets": {
          command: py("mix/hf_datasets.py", raw, join(work, "datasets"), threads),
          rate: ({ seconds }) => megabytes / seconds,
        },
      },
      { command: node("speed/parse-rate.mjs", raw, threads) },
    );
  }
  return cases;
}
