import { randomInt } from "node:crypto";
import { NotFound } from "../failures.js";
import type { RowFile } from "../rows/row-file.js";

const TRIES = 20;

/** What a user asked first in some row: a prompt to put to two models. */
export function randomPrompt(file: RowFile): { prompt: string; place: number } {
  for (let n = 0; n < TRIES && file.count > 0; n++) {
    const place = randomInt(file.count);
    try {
      const row = JSON.parse(file.text(place) ?? "") as {
        messages?: unknown;
        chosen?: unknown;
        prompt?: unknown;
      };
      const messages = (row.messages ?? row.chosen) as { role: string; content: string }[] | undefined;
      const prompt = Array.isArray(messages)
        ? messages.find(({ role }) => role === "user")?.content
        : row.prompt;
      if (typeof prompt === "string" && prompt.trim() !== "") return { prompt, place };
    } catch {
      // Another row may do.
    }
  }
  throw new NotFound("no prompt was found in those rows.");
}
