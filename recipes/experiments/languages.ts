/**
 * The one clear regression of table 3 of the Tulu 2 paper (Ivison et al. 2023, https://arxiv.org/abs/2311.10702): TyDiQA before and after
 * preference training, language by language.
 *
 *   camelid experiment languages --base MODEL --sources DIR --pairs ultrafeedback.parquet --eval-data DIR --out out/experiments
 */
import { type Experiment, paperLines } from "camelid";

const LANGUAGES = {
  arabic: "ar",
  bengali: "bn",
  english: "en",
  finnish: "fi",
  indonesian: "id",
  korean: "ko",
  russian: "ru",
  swahili: "sw",
  telugu: "te",
};

export const experiment: Experiment = {
  name: "languages",
  title: "TyDiQA before and after DPO",
  asks: "What do preferences in English cost other languages?",
  found:
    "TyDiQA falls by 1.9, 13.5 and 17.8 points at 7B, 13B and 70B: neither mixture nor preferences hold other languages on purpose.",
  stages: {
    v2: { does: "mix", preset: "tulu2" },
    "sft-v2": { does: "sft", model: "base", data: "v2", preset: "tulu2" },
    "dpo-v2": { does: "dpo", model: "sft-v2", data: "pairs", preset: "tulu2-dpo" },
  },
  rows: [
    { name: "base", model: "base", chat: false },
    { name: "SFT", model: "sft-v2" },
    { name: "SFT+DPO", model: "dpo-v2" },
  ],
  columns: [
    { task: "tydiqa", name: "TyDi", unit: "%" },
    ...Object.entries(LANGUAGES).map(([group, name]) => ({
      task: "tydiqa",
      name,
      of: { group },
      unit: "%" as const,
    })),
  ],
  compare: [["SFT", "SFT+DPO"]],
  published: {
    table: "tables 1 and 5, TyDiQA",
    lines: [...paperLines(5, /base/), ...paperLines(1, /^Tülu 2/)].map(({ name, values }) => ({
      name,
      values: { TyDi: values.TyDi! },
    })),
  },
};
