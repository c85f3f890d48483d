/**
 * Open-Orca (Lian et al. 2023), the GPT-4 part: `1M-GPT4-Augmented.parquet`. Tülu 2 shuffles the whole file and
 * takes the first 30,000.
 * Quirk: a system turn is always there, even when the prompt is the empty string.
 */
import { z } from "zod";
import { assistant, defineSource, oneConversation, system, user } from "./source.js";

export const openOrca = defineSource({
  name: "open_orca",
  rule: "always system, user, assistant; the system turn may be empty",
  row: z.object({ id: z.string(), system_prompt: z.string(), question: z.string(), response: z.string() }),
  convert(row, { dataset }) {
    const messages = [system(row.system_prompt), user(row.question), assistant(row.response)];
    return oneConversation({ dataset, id: `${dataset}_${row.id}`, messages });
  },
});
