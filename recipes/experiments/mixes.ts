/**
 * Table 2 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): the same base trained on the mixture of Tulu 1,
 * on that of Tulu 2, and on ShareGPT alone.
 *
 *   camelid experiment mixes --base MODEL --sources DIR --eval-data DIR --out out/experiments
 */
import { type Experiment, paperColumns, paperLines } from "camelid";

export const experiment: Experiment = {
  name: "mixes",
  title: "V1 mix, V2 mix, ShareGPT only",
  asks: "Does the mixture of Tülu 2 make a better model than that of Tülu 1, and than conversations alone?",
  found:
    "V2 is ahead on BBH, Codex-Eval, AlpacaEval and TruthfulQA and behind on GSM8K and TyDiQA; the gain shrinks from 13 % at 7B to about 1 % at 70B. ShareGPT alone comes close to V1.",
  stages: {
    sharegpt: { does: "mix", preset: "tulu2", only: ["sharegpt"] },
    v1: { does: "mix", preset: "tulu1" },
    v2: { does: "mix", preset: "tulu2" },
    "sft-sharegpt": { does: "sft", model: "base", data: "sharegpt", preset: "tulu2" },
    "sft-v1": { does: "sft", model: "base", data: "v1", preset: "tulu2" },
    "sft-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2" },
  },
  rows: [
    { name: "ShareGPT only", model: "sft-sharegpt" },
    { name: "V1 mix", model: "sft-v1" },
    { name: "V2 mix", model: "sft-v2" },
  ],
  columns: paperColumns("eight"),
  average: "eight",
  compare: [
    ["V1 mix", "V2 mix"],
    ["ShareGPT only", "V2 mix"],
  ],
  published: { table: "table 2", lines: paperLines(2) },
};
