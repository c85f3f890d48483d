import { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ChatLayout } from "./chat-layout.js";
import type { Message } from "./conversation.js";
import { strip } from "./python-text.js";
import type { RenderedSegment } from "./segments.js";

/**
 * The Tülu 2 layout, written out: no template engine runs, and the line feed after a non-final `</s>` carries loss as
 * in the original code (both of its code bases mask by prefixes that end with that line feed).
 *
 * Contents are trimmed on both sides. The original's evaluation left system and user contents untrimmed; that is
 * `untrimmedPrompt`.
 *
 * @param templateBos the folder's own copy of this layout emits BOS. Where the tokenizer adds one anyway nothing is
 *   emitted here, and the first marker notes it: whether it stands in the text decides about the dummy prefix.
 */
export function tuluLayout(tokenizer: Tokenizer, templateBos: boolean): ChatLayout {
  const eos = tokenizer.eosToken;
  if (eos === undefined || !tokenizer.specialTokens.has(eos)) {
    throw new DataError(
      "ERR_NO_EOS",
      `the Tülu chat layout ends answers with EOS, and ${eos === undefined ? "this tokenizer has none" : `this tokenizer's ("${eos}") is not one of its special tokens`}.`,
      {
        where: tokenizer.folder,
        fix: "set eos_token in tokenizer_config.json, or add a chat_template.jinja.",
      },
    );
  }
  const start: RenderedSegment[] =
    templateBos && !tokenizer.addsBos && tokenizer.bosToken !== undefined
      ? [{ text: tokenizer.bosToken, trained: false, role: "template", special: true }]
      : [];

  const afterBos = templateBos && tokenizer.addsBos;

  const turn = (message: Message, text: string, index: number): RenderedSegment[] => {
    const marker: RenderedSegment = {
      text: `<|${message.role}|>\n`,
      trained: false,
      role: "template",
      ...(index === 0 && afterBos ? { afterBos } : {}),
    };
    if (message.role !== "assistant") {
      return [marker, { text, trained: false, role: message.role }, lineFeed(false)];
    }
    return [
      marker,
      { text, trained: true, role: "assistant" },
      { text: eos, trained: true, role: "template", special: true },
      lineFeed(true),
    ];
  };

  return {
    conversation(messages) {
      const segments = [
        ...start,
        ...messages.flatMap((message, index) => turn(message, strip(message.content), index)),
      ];
      segments.pop(); // the text as a whole is trimmed too: nothing stands after the last turn
      return segments;
    },
    prompt(messages, { untrimmedPrompt = false } = {}) {
      const content = (message: Message) =>
        untrimmedPrompt && message.role !== "assistant" ? message.content : strip(message.content);
      const turns = messages.flatMap((message, index) => turn(message, content(message), index));
      return [...start, ...turns, { text: "<|assistant|>\n", trained: false, role: "template" }];
    },
  };
}

const lineFeed = (trained: boolean): RenderedSegment => ({ text: "\n", trained, role: "template" });
