import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Engine, GenerationDelta } from "../generate/requests.js";
import { choicePieces } from "./choices.js";

/** An engine whose every answer has one piece, and breaks. */
const breaking = {
  async *stream(): AsyncGenerator<GenerationDelta> {
    yield { sample: 0, text: "a", outputIds: [1] } as unknown as GenerationDelta;
    await setTimeout(5);
    throw new Error("the step failed");
  },
} as unknown as Engine;

test("a failure of answers that nobody waits for any more does not end the process", async () => {
  const unheard: unknown[] = [];
  const hear = (reason: unknown): void => void unheard.push(reason);
  process.on("unhandledRejection", hear);
  try {
    const prompts = [1, 2].map((id) => ({ promptIds: [id], maxNewTokens: 4 }));
    const pieces = choicePieces(breaking, { prompts, n: 1, promptTokens: 2 }, new AbortController().signal);
    for await (const { text } of pieces) {
      expect(text).toBe("a");
      break; // the client has gone
    }
    await setTimeout(50);
    expect(unheard).toEqual([]);
  } finally {
    process.off("unhandledRejection", hear);
  }
});
