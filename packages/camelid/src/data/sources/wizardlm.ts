/**
 * WizardLM Evol-Instruct V2 (Xu et al. 2023): `WizardLM_evol_instruct_V2_143k.json`.
 * The original asserts strict human/gpt alternation and stops at a row that breaks it; so do we.
 */
import { z } from "zod";
import { DataError } from "../../errors.js";
import { assistant, defineSource, oneConversation, user } from "./source.js";

export const wizardlm = defineSource({
  name: "wizardlm",
  rule: "strictly alternating human and gpt turns, an even number of them",
  row: z.object({
    idx: z.union([z.string(), z.number()]),
    conversations: z.array(z.object({ from: z.string(), value: z.string() })),
  }),
  convert({ idx, conversations: turns }, { dataset }) {
    const fault =
      turns.length === 0 || turns.length % 2 !== 0
        ? `${turns.length} turns`
        : turns.find((turn, i) => turn.from !== (i % 2 === 0 ? "human" : "gpt"))?.from;
    if (fault !== undefined) {
      throw new DataError(
        "ERR_DATA_ROW_ROLES",
        `wizardlm: human and gpt must alternate in pairs, found ${fault}.`,
        {
          where: "field conversations",
          fix: "repair the row, or leave it out with --on-bad skip.",
        },
      );
    }
    const messages = turns.map(({ value }, i) => (i % 2 === 0 ? user(value) : assistant(value)));
    return oneConversation({ dataset, id: `${dataset}_${idx}`, messages });
  },
});
