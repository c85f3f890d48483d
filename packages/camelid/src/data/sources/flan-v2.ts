/**
 * FLAN v2 (Longpre et al. 2023) and its chain-of-thought submix: JSON lines of `inputs` and `targets`.
 *
 * Tülu 2 reads `tulu_v2_resampled_flan_50k.jsonl`, which `resample_flan_v2.py` drew from the submixes with its own
 * `random.seed(42)`: quotas below, lines kept in file order. CoT is 25,000 zero-shot then 25,000 few-shot rows.
 * Where only the submix folders are there, the mixer redraws the file (mix/tulu-layouts.ts).
 */
import { z } from "zod";
import { rstrip } from "../python-text.js";
import { assistant, defineSource, oneConversation, type Source, user } from "./source.js";

function flanSource(name: string): Source {
  return defineSource({
    name,
    rule: "inputs become the user turn, targets the answer; inputs without final newline or colon gain a newline",
    row: z.object({ inputs: z.string(), targets: z.string() }),
    convert({ inputs, targets }, { position, dataset }) {
      // The newline has no effect on training, where contents are stripped; it is there for equal bytes.
      const prompt = inputs.endsWith("\n") || rstrip(inputs).endsWith(":") ? inputs : `${inputs}\n`;
      return oneConversation({
        dataset,
        id: `${dataset}_${position}`,
        messages: [user(prompt), assistant(targets)],
      });
    },
  });
}

export const flanV2 = flanSource("flan_v2");
export const cot = flanSource("cot");

/** Shares of the resampled FLAN file, in the order its script visits the submixes. */
export const FLAN_SHARES_V2: Readonly<Record<string, number>> = {
  flan_fsopt: 0.2,
  flan_fsnoopt: 0.2,
  t0_fsopt: 0.16,
  t0_fsnoopt: 0.16,
  niv2_fsopt: 0.23,
  cot_fsopt: 0.05,
};

export const FLAN_SHARES_V1: Readonly<Record<string, number>> = {
  flan_zsopt: 0.1,
  flan_fsopt: 0.1,
  flan_zsnoopt: 0.1,
  flan_fsnoopt: 0.1,
  t0_zsopt: 0.08,
  t0_fsopt: 0.08,
  t0_zsnoopt: 0.08,
  t0_fsnoopt: 0.08,
  niv2_zsopt: 0.1,
  niv2_fsopt: 0.1,
  cot_zsopt: 0.025,
  cot_fsopt: 0.025,
  dialog_zsopt: 0.015,
  dialog_fsopt: 0.015,
};
