/** The rows a mixture report shows. */
import { fold } from "../../report/blocks.js";
import { type HtmlValue, html } from "../../report/html.js";
import { section } from "../../report/page.js";
import { type StripToken, tokenLegend, tokenStrip } from "../../report/token-strip.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { Conversation } from "../conversation.js";
import { IGNORE_INDEX, renderConversation } from "../render.js";
import { SEGMENT_ROLES } from "../tokenize-segments.js";
import type { SourceState } from "./source-state.js";

/** A few rows of each source: token by token where there is a tokenizer, else as text. */
export async function sampledRows(
  states: readonly SourceState[],
  tokenizer: Tokenizer | undefined,
): Promise<HtmlValue> {
  const shown: HtmlValue[] = [];
  for (const { name, samples } of states) {
    for (const line of samples) {
      const row = readRecord(line);
      shown.push(
        fold(
          html`<b>${name}</b> ${row.id}`,
          tokenizer === undefined ? plain(row) : await masked(row, tokenizer),
        ),
      );
    }
  }
  const note = tokenizer === undefined ? "Without a tokenizer the rows are shown as text." : tokenLegend();
  return section({
    heading: "Rows",
    note: tokenizer === undefined ? note : "As the trainer gets them.",
    body: [tokenizer && note, shown],
  });
}

/** Of a pair, the chosen side. */
function readRecord(line: Uint8Array): Conversation {
  const { chosen, ...record } = JSON.parse(Buffer.from(line).toString("utf8")) as Conversation & {
    chosen?: Conversation["messages"];
  };
  return chosen === undefined ? record : { ...record, messages: chosen };
}

function plain({ messages }: Conversation): HtmlValue {
  return messages.map(({ role, content }) => html`<p><b>${role}</b></p><pre>${content}</pre>`);
}

async function masked(row: Conversation, tokenizer: Tokenizer): Promise<HtmlValue> {
  try {
    const { inputIds, labels, roles } = await renderConversation(row, tokenizer, { maxSeqLen: 1500 });
    const specials = new Set(tokenizer.specialTokens.values());
    const tokens = Array.from(
      inputIds,
      (id, i): StripToken => ({
        id,
        text: tokenizer.decode([id], { skipSpecialTokens: false }),
        role: SEGMENT_ROLES[roles[i]!]!,
        trained: labels[i] !== IGNORE_INDEX,
        special: specials.has(id),
      }),
    );
    return tokenStrip(tokens);
  } catch {
    return plain(row); // the template refuses it; the trainer will say why
  }
}
