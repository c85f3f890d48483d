/**
 * The tests of tests/faults/parsers.test.ts, longer and with other seeds: every parser gets an equal share of the time, half an
 * hour in all unless CAMELID_LONG_MINUTES says otherwise. The next run goes on with seeds that were not tried (done-work.ts).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { everyParser, survive } from "../faults/parsers.js";
import { DoneWork, MINUTES, say } from "./done-work.js";

const root = mkdtempSync(join(tmpdir(), "camelid-parsers-long-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Of one parser on one build; enough is enough. */
const ROUNDS = 20_000;
const ROUNDS_PER_PIECE = 250;
const ALL_MINUTES = Math.min(MINUTES, 30);

const parsers = await everyParser(root);
const work = new DoneWork<{ parser: string; seed: number; rounds: number }>("parsers");

describe.each(parsers)("$name", (parser) => {
  test("damaged again and again, is read or refused, soon and in little memory", {
    timeout: 3_600_000,
  }, async () => {
    const piecesOf = () => work.pieces.filter((piece) => piece.parser === parser.name);
    const ends = performance.now() + (ALL_MINUTES * 60_000) / parsers.length;
    let read = 0;
    let rounds = 0;
    while (rounds === 0 || (performance.now() < ends && piecesOf().length * ROUNDS_PER_PIECE < ROUNDS)) {
      const seed = 1 + piecesOf().length;
      const outcomes = await survive(parser, ROUNDS_PER_PIECE, seed);
      work.add({ parser: parser.name, seed, rounds: ROUNDS_PER_PIECE });
      read += outcomes.get("read") ?? 0;
      rounds += ROUNDS_PER_PIECE;
    }
    say(
      `${parser.name}: ${rounds} damaged files, ${read} could be read all the same; ${piecesOf().length * ROUNDS_PER_PIECE} on this build`,
    );
    expect(read).toBeGreaterThan(rounds / 100);
  });
});
