/**
 * Table 6 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): the mixture of Tulu 2 on a base that has read much
 * code, against the same mixture on a general base.
 *
 *   camelid experiment code --base MODEL --code-base CODE_MODEL --sources DIR --eval-data DIR --out out/experiments
 */
import { type Experiment, paperColumns, paperLines } from "camelid";

export const experiment: Experiment = {
  name: "code",
  title: "Code Tülu 2",
  asks: "What does a base that has read code give to a model trained on the general mixture?",
  found: "Codex-Eval gains 70 % on average over Tülu 2 of the same size, AlpacaEval loses 20 %.",
  stages: {
    v2: { does: "mix", preset: "tulu2" },
    "sft-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2" },
    "code-v2": { does: "sft", model: "codeBase", data: "v2", preset: "codetulu2" },
  },
  rows: [
    { name: "code base", model: "codeBase", chat: false, without: ["alpaca-eval"] },
    { name: "general base + V2", model: "sft-v2" },
    { name: "code base + V2", model: "code-v2" },
  ],
  columns: paperColumns("eight"),
  average: "eight",
  compare: [["general base + V2", "code base + V2"]],
  published: { table: "table 6", lines: paperLines(6) },
};
