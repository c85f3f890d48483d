/**
 * Science literature tasks of Tülu 2: `science_train.jsonl` (Evidence Inference, Qasper, SciERC, SciFact, SciTLDR).
 * The row's own `dataset` becomes the tag `science.<dataset>`; ids count over the whole file.
 */
import { z } from "zod";
import { assistant, defineSource, oneConversation, user } from "./source.js";

export const science = defineSource({
  name: "science",
  rule: "input becomes the user turn, output the answer, the row's dataset the tag science.<dataset>",
  row: z.object({ dataset: z.string(), input: z.string(), output: z.string() }),
  convert(row, { position, dataset }) {
    const messages = [user(row.input), assistant(row.output)];
    return oneConversation({ dataset: `${dataset}.${row.dataset}`, id: `${dataset}_${position}`, messages });
  },
});
