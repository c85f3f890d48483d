/**
 * GPT4-Alpaca (Peng et al. 2023): `alpaca_gpt4_data.json`, 52,002 rows of `instruction`, `input`, `output`.
 * Tülu 2 draws 20,000 with `random.sample`, then one prompt template a row. The Chinese file is not used.
 */
import { z } from "zod";
import { instructionSource } from "./instruction-source.js";

export const gpt4Alpaca = instructionSource(
  "gpt4_alpaca",
  z.object({ instruction: z.string(), input: z.string().nullish(), output: z.string() }),
  (row) => row,
);
