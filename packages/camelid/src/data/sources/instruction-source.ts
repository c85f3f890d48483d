/** What GPT4-Alpaca, Code-Alpaca and Dolly share: three fields under one of 28 prompt templates. */
import type { z } from "zod";
import { renderInstruction } from "./prompt-templates.js";
import { assistant, defineSource, oneConversation, type Source, user } from "./source.js";

export interface InstructionFields {
  instruction: string;
  input?: string | null | undefined;
  output: string;
}

export function instructionSource<Row>(
  name: string,
  row: z.ZodType<Row>,
  fields: (row: Row) => InstructionFields,
): Source {
  return defineSource<Row>({
    name,
    rule: "instruction, input and output stripped and put into one of 14 + 14 weighted prompt templates",
    row,
    drawsPerRow: true,
    convert(value, { position, draw, dataset }) {
      const { instruction, input, output } = fields(value);
      const { prompt, completion, step } = renderInstruction(instruction, input, output, draw);
      const messages = [user(prompt), assistant(completion)];
      return oneConversation({ dataset, id: `${dataset}_${position}`, messages }, step);
    },
  });
}
