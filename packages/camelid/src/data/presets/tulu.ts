/**
 * Tülu-V2-mix and Tülu-V1-mix (arXiv 2311.10702 section 2 and 2306.04751): what is drawn from each source, in the
 * order in which the original converter used its one `random.seed(42)` stream. Facts: spec/tulu2.md sections 1.2-1.8;
 * rows compared with the original script in tests/parity/tulu-mix; table in docs/guides/tulu2-mix.md.
 */
import type { Mixture } from "../mixture.js";
import { TULU2_KEYWORDS } from "../quality/keyword-filter.js";
import { FLAN_SHARES_V1, FLAN_SHARES_V2 } from "../sources/flan-v2.js";
import { type Layout, type LocatedSources, locateSources, type PresetSource } from "./layout.js";

const ALL = { kind: "all" } as const;

/** Processing order of the original; sizes are those of the released mix before its filter (spec 1.2). */
export const TULU2_SOURCES: readonly PresetSource[] = [
  {
    name: "flan_v2", // 50,000
    folders: ["flan_v2"],
    layouts: [file("flan_v2", "tulu_v2_resampled_flan_50k.jsonl"), flanSubmixes(FLAN_SHARES_V2, 50_000)],
    standIns: [{ folder: "p3_t0", files: /\.jsonl(\.gz)?$/, format: "p3_prompts", draw: ALL }],
  },
  {
    name: "cot", // 50,000: zero-shot first, then few-shot
    folders: ["cot"],
    layouts: [cotLayout(25_000)],
    standIns: [{ folder: "flan_cot", files: /_train\.tsv(\.gz)?$/, format: "cot_table", draw: ALL }],
  },
  {
    name: "oasst1", // 7,708
    folders: ["oasst1", "oasst"],
    layouts: [file("oasst1", "2023-04-12_oasst_ready.trees.jsonl")],
    options: { topReplies: 1 },
    standIns: [{ folder: "oasst", files: /tree.*\.jsonl(\.gz)?$/, format: "oasst1", draw: ALL }],
  },
  { name: "lima", folders: ["lima"], layouts: [file("lima", "train.jsonl")] }, // 1,030
  {
    name: "gpt4_alpaca", // 20,000 of 52,002
    folders: ["gpt4_alpaca"],
    layouts: [file("gpt4_alpaca", "alpaca_gpt4_data.json", { kind: "sample", rows: 20_000, strict: true })],
    standIns: [alpacaStandIn("gpt4_alpaca")],
  },
  {
    name: "code_alpaca", // 20,022
    folders: ["code_alpaca"],
    layouts: [file("code_alpaca", "code_alpaca_20k.json")],
    standIns: [alpacaStandIn("code_alpaca")],
  },
  sharegptSource(4096), // 114,046 pieces
  {
    name: "wizardlm", // 30,000 of 143k
    folders: ["wizardlm"],
    layouts: [
      file("wizardlm", "WizardLM_evol_instruct_V2_143k.json", { kind: "sample", rows: 30_000, strict: true }),
    ],
  },
  {
    name: "open_orca", // 30,000 of the GPT-4 part; none of the GPT-3.5 part
    folders: ["open_orca"],
    layouts: [file("open_orca", "1M-GPT4-Augmented.parquet", { kind: "shuffle", rows: 30_000 })],
  },
  { name: "science", folders: ["science"], layouts: [file("science", "science_train.jsonl")] }, // 7,544
  {
    name: "hard_coded", // 14 rows, 10 times; exempt from the filter
    folders: ["hard_coded"],
    layouts: [file("hard_coded", "hard_coded_examples.xlsx"), file("hard_coded", "hard_coded_examples.csv")],
    repeat: 10,
    exempt: true,
    standIns: [
      { folder: "hard_coded_standin", files: /identity\.json$/, format: "identity_templates", draw: ALL },
    ],
  },
];

/** Tülu 1 as its converter makes it: no keyword filter, all OASST paths, ShareGPT pieces of 2,048 tokens. */
export const TULU1_SOURCES: readonly PresetSource[] = [
  {
    name: "flan_v2",
    folders: ["flan_v2"],
    layouts: [file("flan_v2", "tulu_v1_resampled_flan_100k.jsonl"), flanSubmixes(FLAN_SHARES_V1, 100_000)],
    standIns: TULU2_SOURCES[0]!.standIns!,
  },
  { name: "cot", folders: ["cot"], layouts: [cotLayout(50_000)], standIns: TULU2_SOURCES[1]!.standIns! },
  { ...tulu2("oasst1"), options: {} },
  {
    name: "dolly",
    folders: ["dolly"],
    layouts: [file("dolly", "databricks-dolly-15k.jsonl")],
  },
  {
    name: "gpt4_alpaca",
    folders: ["gpt4_alpaca"],
    layouts: [file("gpt4_alpaca", "alpaca_gpt4_data.json")],
    standIns: [alpacaStandIn("gpt4_alpaca")],
  },
  tulu2("code_alpaca"),
  sharegptSource(2048),
];

/** Rows of the released Tülu-V2-mix after its filter: what a run over the original files is held against. */
export const TULU2_RELEASED: Readonly<Record<string, { sampled: number; written: number }>> = {
  flan_v2: { sampled: 50_000, written: 49_123 },
  cot: { sampled: 50_000, written: 49_747 },
  oasst1: { sampled: 7_708, written: 7_331 },
  sharegpt: { sampled: 114_046, written: 111_912 },
  gpt4_alpaca: { sampled: 20_000, written: 19_906 },
  code_alpaca: { sampled: 20_022, written: 20_016 },
  lima: { sampled: 1_030, written: 1_018 },
  wizardlm: { sampled: 30_000, written: 29_810 },
  open_orca: { sampled: 30_000, written: 29_683 },
  science: { sampled: 7_544, written: 7_468 },
  hard_coded: { sampled: 140, written: 140 },
};

export interface PresetMixture {
  readonly mixture: Mixture;
  /** Counts of the published mixture, where they are known. */
  readonly released?: typeof TULU2_RELEASED;
  readonly missing: LocatedSources["missing"];
}

export interface PresetOptions {
  /** CSV that takes the place of a missing hard_coded sheet (presets/identity-rows.ts). */
  readonly identityFile?: string;
  readonly allowMissing: boolean;
  readonly hasTokenizer: boolean;
}

/** The Tülu 2 mixture over the raw files in `directory`. @throws {SettingsError} when sources are missing */
export function tulu2Mixture(directory: string, options: PresetOptions): PresetMixture {
  const { sources, missing } = locateSources(TULU2_SOURCES.map(withIdentity(options)), directory, options);
  const filter = { mode: "substring", keywords: TULU2_KEYWORDS } as const;
  return { mixture: { ...original("tulu2"), sources, filter }, missing, released: TULU2_RELEASED };
}

/** The Tülu 1 mixture over the raw files in `directory`. @throws {SettingsError} when sources are missing */
export function tulu1Mixture(directory: string, options: PresetOptions): PresetMixture {
  const { sources, missing } = locateSources(TULU1_SOURCES, directory, options);
  return { mixture: { ...original("tulu1"), sources }, missing };
}

function withIdentity({ identityFile }: PresetOptions) {
  return (source: PresetSource): PresetSource => {
    if (source.name !== "hard_coded" || identityFile === undefined) return source;
    const neutral = { ...file("hard_coded", identityFile), note: "the project's neutral identity rows" };
    return { ...source, layouts: [...source.layouts, neutral] };
  };
}

function original(name: string) {
  return { name, seed: 42, randomness: "python-stream", json: "python" } as const;
}

function file(format: string, name: string, draw: Layout["parts"][number]["draw"] = ALL): Layout {
  return { format, parts: [{ files: [name], draw }] };
}

function cotLayout(each: number): Layout {
  const draw = { kind: "sample", rows: each } as const;
  return {
    format: "cot",
    parts: [
      { files: ["cot_zsopt.jsonl"], draw },
      { files: ["cot_fsopt.jsonl"], draw },
    ],
  };
}

/** The script's own draw, `<submix>/<submix>.jsonl` each, for those who have the submixes and not its output. */
function flanSubmixes(shares: Readonly<Record<string, number>>, total: number): Layout {
  return {
    format: "flan_v2",
    note: "resampled from the submixes as resample_flan_v2.py does, seed 42",
    parts: Object.entries(shares).map(([submix, share]) => ({
      files: [`${submix}/${submix}.jsonl`],
      draw: { kind: "sample-in-file-order", rows: Math.trunc(share * total), group: "flan", seed: 42 },
    })),
  };
}

function sharegptSource(maxTokens: number): PresetSource {
  return {
    name: "sharegpt",
    folders: ["sharegpt"],
    options: { maxTokens },
    layouts: [
      {
        format: "sharegpt",
        wantsTokenizer: true,
        parts: [{ files: ["sg_90k_part1_html_cleaned.json", "sg_90k_part2_html_cleaned.json"], draw: ALL }],
      },
      file("sharegpt_split", `sharegpt_html_cleaned_and_split_${maxTokens}.json`),
    ],
    standIns: [
      { folder: "sharegpt", files: /^sharegpt_sample\.json(\.gz)?$/, format: "sharegpt", draw: ALL },
    ],
  };
}

function alpacaStandIn(folder: string) {
  return { folder, files: /\.json(\.gz)?$/, format: folder, draw: ALL };
}

function tulu2(name: string): PresetSource {
  return TULU2_SOURCES.find((source) => source.name === name)!;
}
