/** The tests of tests/faults/parsers.test.ts, longer and with other seeds. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { everyParser, survive } from "../faults/parsers.js";

const root = mkdtempSync(join(tmpdir(), "camelid-parsers-long-"));
afterAll(() => rmSync(root, { recursive: true }));

const ROUNDS = 5000;
const SEEDS = [1, 2, 3, 4];

describe.each(await everyParser(root))("$name", (parser) => {
  test.each(SEEDS)(
    "is read or refused, soon and in little memory, with seed %i",
    { timeout: 600_000 },
    async (seed) => {
      const outcomes = await survive(parser, ROUNDS, seed);
      expect(outcomes.get("read")).toBeGreaterThan(ROUNDS / 100);
    },
  );
});
