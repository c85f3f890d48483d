/**
 * Tables 1 and 3 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): a model before and after preference
 * training. TruthfulQA is left out, because UltraFeedback holds its prompts.
 *
 *   camelid experiment preferences --base MODEL --sources DIR --pairs ultrafeedback.parquet --eval-data DIR --out out/experiments
 */
import { type Experiment, paperColumns, paperLines } from "camelid";

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
  published: { table: "table 1", lines: paperLines(1, /^Tülu 2/) },
};
