/**
 * Code-Alpaca (Chaudhary 2023): `code_alpaca_20k.json`, the fields of Alpaca.
 * Tülu 1 and 2 take all rows in file order, one prompt template a row.
 */
import { z } from "zod";
import { instructionSource } from "./instruction-source.js";

export const codeAlpaca = instructionSource(
  "code_alpaca",
  z.object({ instruction: z.string(), input: z.string().nullish(), output: z.string() }),
  (row) => row,
);
