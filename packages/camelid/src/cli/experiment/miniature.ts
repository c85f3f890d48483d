/** Lays the miniature out on disk and says how it is trained: what an experiment is given when nobody gives it anything. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Miniature, type MiniatureSize, makeMiniature } from "../../demo/miniature/miniature.js";
import { UNKIND_WORDS } from "../../demo/miniature/unkind.js";
import { jsonLines } from "../../demo/raw-formats.js";
import type { Stage } from "../../experiments/experiment.js";
import { type Given, shortHash } from "../../experiments/plan.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { BASE_SETTINGS, DPO_SETTINGS, SFT_SETTINGS } from "../demo/plan.js";
import { makeBlankModel } from "../demo/stages.js";
import { writeHouseClassifier } from "./house-classifier.js";

export const MINIATURE_REMARK =
  "A miniature: models of a million parameters, benchmarks of a few dozen made-up questions, a judge of fixed rules. It shows that the experiment runs; its numbers say nothing about real models or data.";

/** Two bases are made first: one of the valley's prose, one that has read code after it. */
export const MINIATURE_STAGES: Readonly<Record<string, Stage>> = {
  base: { does: "sft", model: "blank", data: "corpus", preset: "base" },
  codeBase: { does: "sft", model: "base", data: "codeCorpus", preset: "base" },
};

const LORA = {
  rank: 16,
  alpha: 32,
  dropout: 0.1,
  targetModules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
};

/** What takes the place of the paper's presets. */
export const MINIATURE_PRESETS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  base: { ...BASE_SETTINGS, device: "cpu" },
  tulu2: { ...SFT_SETTINGS, maxSeqLen: 384, device: "cpu" },
  codetulu2: { ...SFT_SETTINGS, maxSeqLen: 384, device: "cpu" },
  "tulu2-qlora": {
    ...SFT_SETTINGS,
    ...{ maxSeqLen: 384, device: "cpu", learningRate: 4e-3, lora: LORA },
    quantize: { type: "nf4", doubleQuant: true, throughFp16: false },
  },
  "tulu2-dpo": { ...DPO_SETTINGS, device: "cpu" },
};

/**
 * As the paper does it, with two differences: no examples in the prompt (the models' context is 512 tokens), and one greedy answer
 * to each function instead of twenty.
 */
export const MINIATURE_EVAL = {
  profile: "tulu2-paper",
  shots: 0,
  device: "cpu",
  options: ["samples=1", "k=1", "temperature=0"].map((one) => `codex-eval.${one}`),
} as const;

export interface LaidOut {
  readonly given: Readonly<Record<string, Given>>;
  readonly evalData: string;
  readonly classifier: string;
  readonly judged: Miniature["benchmarks"]["judged"];
}

/** @param out the experiments' folder; the same size makes the same files */
export async function layOutMiniature(out: string, size: MiniatureSize): Promise<LaidOut> {
  const miniature = makeMiniature(size);
  const key = shortHash(JSON.stringify(size));
  const folder = join(out, `miniature-${key}`);
  const at = (...names: string[]): string => join(folder, ...names);
  const complete = at("complete");
  if (!existsSync(complete)) {
    const { corpus, codeCorpus, sources, pairs, benchmarks } = miniature;
    write(at("corpus.jsonl"), jsonLines(corpus.map((text) => ({ text }))));
    write(at("code-corpus.jsonl"), jsonLines(codeCorpus.map((text) => ({ text }))));
    write(at("pairs.jsonl"), jsonLines(pairs));
    for (const [path, text] of sources) write(at("sources", path), text);
    for (const [path, text] of benchmarks.files) write(at("benchmarks", path), text);
    writeHouseClassifier(at("classifier"), UNKIND_WORDS);
    await makeBlankModel(at("blank"), tokenizerTexts(miniature), size.seed);
    writeFileAtomic(complete, "");
  }
  const given = (path: string): Given => ({ path, key: `miniature ${key} ${path}` });
  const named = (name: string, ...path: string[]) =>
    [name, { ...given(path.join("/")), path: at(...path) }] as const;
  return {
    given: Object.fromEntries([
      named("blank", "blank"),
      named("corpus", "corpus.jsonl"),
      named("codeCorpus", "code-corpus.jsonl"),
      named("sources", "sources"),
      named("pairs", "pairs.jsonl"),
    ]),
    evalData: at("benchmarks"),
    classifier: at("classifier"),
    judged: miniature.benchmarks.judged,
  };
}

/** Prose, code and the benchmarks' own sentences: pieces for all of them keep prompts short. */
function tokenizerTexts({ corpus, codeCorpus, sources }: Miniature): string[] {
  const rows = [...sources.values()].map((text) => text.slice(0, 200_000));
  return [...corpus.slice(0, 4000), ...codeCorpus.slice(0, 500), ...rows];
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
