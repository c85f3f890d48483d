/** Results of `camelid eval`, for the table of a model card. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { SettingsError } from "../../errors.js";

const Metrics = z.looseObject({
  format: z.literal(1),
  profile: z.string().optional(),
  tasks: z.record(
    z.string(),
    z.looseObject({
      title: z.string(),
      metric: z.string(),
      unit: z.string(),
      score: z.number().nullable(),
      interval: z.tuple([z.number(), z.number()]).nullable(),
      items: z.number(),
      failed: z.number().default(0),
      shots: z.number().optional(),
      limit: z.number().optional(),
    }),
  ),
  contamination: z
    .looseObject({ contacts: z.record(z.string(), z.number()), searched: z.boolean(), removed: z.boolean() })
    .optional(),
});
export type EvalFacts = z.output<typeof Metrics>;

/**
 * @param path a metrics.json, or the folder that holds it
 * @throws {SettingsError} `ERR_CARD_EVAL`
 */
export function readEvalFacts(path: string): EvalFacts {
  try {
    const file = statSync(path).isDirectory() ? join(path, "metrics.json") : path;
    return Metrics.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new SettingsError("ERR_CARD_EVAL", "these are no results of `camelid eval`.", {
      where: path,
      fix: "give its --out folder, or the metrics.json in it.",
      cause,
    });
  }
}
