/**
 * Tables 1 and 3 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): a model before and after preference
 * training. TruthfulQA is left out, because UltraFeedback holds its prompts.
 *
 *   camelid experiment preferences --base MODEL --sources DIR --pairs ultrafeedback.parquet --eval-data DIR --out out/experiments
 */
import { type Experiment, type PublishedLine, paperColumns, paperLines } from "camelid";

export const experiment: Experiment = {
  name: "preferences",
  title: "SFT against DPO",
  asks: "What does preference training change, and at what price?",
  found:
    "AlpacaEval rises by 8 to 11 points at every size; the rest hardly moves but for TyDiQA, which falls by up to 18 points.",
  stages: {
    v2: { does: "mix", preset: "tulu2" },
    "sft-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2" },
    "dpo-v2": { does: "dpo", model: "sft-v2", data: "pairs", preset: "tulu2-dpo" },
  },
  rows: [
    { name: "SFT", model: "sft-v2" },
    { name: "SFT+DPO", model: "dpo-v2" },
  ],
  columns: paperColumns("seven"),
  average: "seven",
  compare: [["SFT", "SFT+DPO"]],
  published: {
    table: "tables 1 and 3",
    lines: paperLines(1, /^Tülu 2/),
    differences: [
      difference("7B", [0.3, 0.5, -3.0, -1.9, 3.1, 11.2, -6.5], 1.6),
      difference("13B", [-0.1, 3.5, -0.1, -13.5, -0.1, 10.6, -0.6], 0.1),
      difference("70B", [0.5, -1.5, -2.4, -17.8, 0.4, 8.5, -0.3], -1.7),
    ],
  },
};

/** DPO less SFT as table 3 prints it, in the order of the columns. */
function difference(size: string, numbers: readonly number[], average: number): PublishedLine {
  const names = paperColumns("seven").map(({ name }) => name);
  return {
    name: `Tülu 2 ${size}`,
    values: Object.fromEntries(names.map((name, i) => [name, numbers[i]])),
    average,
  };
}
