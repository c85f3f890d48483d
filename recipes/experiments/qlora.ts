/**
 * Table 5 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): the base, all of its weights trained, and adapters
 * trained on the base in 4 bits.
 *
 *   camelid experiment qlora --base MODEL --sources DIR --eval-data DIR --out out/experiments
 */
import { type Experiment, paperColumns, paperLines } from "camelid";

export const experiment: Experiment = {
  name: "qlora",
  title: "Full fine-tuning against QLoRA",
  asks: "How far do adapters on a base in 4 bits get?",
  found:
    "QLoRA stays behind full fine-tuning, by 10 % at 7B and 3 % at 70B on average; on AlpacaEval by about 20 %.",
  stages: {
    v2: { does: "mix", preset: "tulu2" },
    "sft-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2" },
    "qlora-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2-qlora" },
  },
  rows: [
    { name: "base", model: "base", chat: false, without: ["alpaca-eval"] },
    { name: "full", model: "sft-v2" },
    { name: "QLoRA", model: "qlora-v2" },
  ],
  columns: paperColumns("eight"),
  average: "eight",
  compare: [["full", "QLoRA"]],
  published: { table: "table 5", lines: paperLines(5) },
};
