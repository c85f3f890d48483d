/**
 * Table 4 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): judges like DPO's answers better; how much
 * longer are they?
 *
 *   camelid experiment length --base MODEL --sources DIR --pairs ultrafeedback.parquet --eval-data DIR --out out/experiments
 */
import { type Experiment, lengthLines } from "camelid";

export const experiment: Experiment = {
  name: "length",
  title: "Length of answers before and after DPO",
  asks: "Are answers that judges prefer simply longer ones?",
  found:
    "DPO lengthens answers at every size (70B: 1,011 to 1,414 characters), yet they stay well below those of Zephyr and Xwin.",
  stages: {
    v2: { does: "mix", preset: "tulu2" },
    "sft-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2" },
    "dpo-v2": { does: "dpo", model: "sft-v2", data: "pairs", preset: "tulu2-dpo" },
  },
  rows: [
    { name: "SFT", model: "sft-v2" },
    { name: "SFT+DPO", model: "dpo-v2" },
  ],
  columns: [
    { task: "mt-bench", name: "MT-B", digits: 2 },
    { task: "alpaca-eval", name: "AlpE", unit: "%" },
    { task: "alpaca-eval", name: "length", of: { value: "characters" }, digits: 0 },
  ],
  compare: [["SFT", "SFT+DPO"]],
  published: { table: "table 4", lines: lengthLines() },
};
