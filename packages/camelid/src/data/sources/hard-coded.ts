/**
 * Hard-coded identity rows: a two-column sheet, `Prompt` and `Output`; ids are sheet rows.
 * Tülu 2 repeats the whole sheet 10 times, so every id occurs 10 times (never key a map by it), and exempts it
 * from the keyword filter. The project ships neutral rows (samples of its own wording); users bring theirs.
 */
import { z } from "zod";
import { assistant, defineSource, oneConversation, user } from "./source.js";

const cell = z.union([z.string(), z.number()]).transform(String);

export const hardCoded = defineSource({
  name: "hard_coded",
  rule: "Prompt becomes the user turn, Output the answer; ids are sheet rows",
  row: z.object({ Prompt: cell, Output: cell }),
  convert({ Prompt, Output }, { row, dataset }) {
    return oneConversation({ dataset, id: `${dataset}_${row}`, messages: [user(Prompt), assistant(Output)] });
  },
});
