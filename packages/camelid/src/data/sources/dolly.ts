/**
 * Dolly (Databricks 2023): `databricks-dolly-15k.jsonl`, in Tülu 1 only. `context` takes the place of the input,
 * `response` of the output; `category` is ignored.
 */
import { z } from "zod";
import { instructionSource } from "./instruction-source.js";

export const dolly = instructionSource(
  "dolly",
  z.object({ instruction: z.string(), context: z.string().nullish(), response: z.string() }),
  (row) => ({ instruction: row.instruction, input: row.context, output: row.response }),
);
