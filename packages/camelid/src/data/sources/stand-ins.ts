/**
 * Raw files that may stand in for a source whose original file is not to be had. They are used only with
 * `--allow-missing`, and the manifest says so: the mixture is then not Tülu's.
 */
import { z } from "zod";
import { assistant, defineSource, oneConversation, user } from "./source.js";

/** FLAN's own CoT tables: question, answer, explanation; no header, line breaks spelled `\n`. */
export const cotTable = defineSource({
  name: "cot_table",
  rule: "question becomes the user turn, explanation and answer the assistant's",
  row: z.object({ column0: z.string(), column1: z.string(), column2: z.string() }),
  convert({ column0, column1, column2 }, { position, dataset }) {
    const breaks = (text: string) => text.replaceAll("\\n", "\n");
    const answer = `${breaks(column2).trimEnd()} The answer: ${breaks(column1)}.`;
    return oneConversation({
      dataset,
      id: `${dataset}_${position}`,
      messages: [user(breaks(column0)), assistant(answer)],
    });
  },
});

/** P3 as self-instruct stored it: the completion ends in a literal `<|endoftext|>`, which must not be trained. */
export const p3Prompts = defineSource({
  name: "p3_prompts",
  rule: "prompt becomes the user turn, completion without <|endoftext|> the answer",
  row: z.object({ prompt: z.string(), completion: z.string() }),
  convert({ prompt, completion }, { position, dataset }) {
    const answer = completion.replace(/<\|endoftext\|>\s*$/, "");
    return oneConversation({
      dataset,
      id: `${dataset}_${position}`,
      messages: [user(prompt), assistant(answer)],
    });
  },
});

/** Identity rows with `{{name}}` and `{{author}}` left open. */
export const identityTemplates = defineSource({
  name: "identity_templates",
  rule: "instruction becomes the user turn, output the answer; {{name}} and {{author}} filled in",
  row: z.object({ instruction: z.string(), output: z.string() }),
  convert({ instruction, output }, { row, dataset }) {
    const filled = output.replaceAll("{{name}}", "Camelid").replaceAll("{{author}}", "the Camelid project");
    return oneConversation({
      dataset,
      id: `${dataset}_${row}`,
      messages: [user(instruction), assistant(filled)],
    });
  },
});
