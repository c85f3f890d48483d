/**
 * LIMA (Zhou et al. 2023): `train.jsonl`, `conversations` is a list of texts, user first.
 * Quirk: an odd last text (a user turn without an answer) is cut off.
 */
import { z } from "zod";
import { assistant, defineSource, oneConversation, user } from "./source.js";

export const lima = defineSource({
  name: "lima",
  rule: "texts alternate user and assistant; an odd last text is cut off",
  row: z.object({ conversations: z.array(z.string()) }),
  convert({ conversations: texts }, { position, dataset }) {
    const even = texts.length - (texts.length % 2);
    if (even === 0) return { conversations: [], dropped: { "no answer": 1 } };
    const messages = texts.slice(0, even).map((text, i) => (i % 2 === 0 ? user(text) : assistant(text)));
    return oneConversation(
      { dataset, id: `${dataset}_${position}`, messages },
      even < texts.length ? "odd last turn cut" : undefined,
    );
  },
});
