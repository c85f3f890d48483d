/** A tokenizer that spells ids: "t7 t12" is 7 and 12. With it a command can be given any row of ids. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../packages/camelid/src/model/config.js";

export const wordsOf = (ids: readonly number[]): string => ids.map((id) => `t${id}`).join(" ");

/** Contents one after the other, answers marked as trained, and nothing around them but the BOS. */
const TEMPLATE = `{{- bos_token -}}
{%- for message in messages -%}
{{- ' ' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- message['content'] -}}{%- endgeneration -%}
{%- else -%}
{{- message['content'] -}}
{%- endif -%}
{%- endfor -%}`;

/** Puts it into a model folder: as many words as the embedding has rows. */
export function writeNumberTokenizer(folder: string, { addBos = true } = {}): void {
  const size = readConfig(folder).config.vocabSize;
  const special = ["<unk>", "<s>", "</s>"];
  const words = Array.from({ length: size }, (_, id) => special[id] ?? `t${id}`);
  const added = special.map((content, id) => ({
    ...{ id, content, special: true, lstrip: false, rstrip: false, single_word: false, normalized: false },
  }));
  const bosInFront = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  };
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: addBos ? bosInFront : null,
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      unk_token: "<unk>",
    },
  };
  const config = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", chat_template: TEMPLATE };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(json));
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
}
