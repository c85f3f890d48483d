import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { CamelidError } from "../../packages/camelid/src/errors.js";
import { everyParser, survive } from "./parsers.js";

const root = mkdtempSync(join(tmpdir(), "camelid-parsers-"));
afterAll(() => rmSync(root, { recursive: true }));

const parsers = await everyParser(root);

/** The longer version stands in tests/long. */
const ROUNDS = 250;

/** Damage that the longer version met once, to be met every time. */
const MET_BEFORE: Record<string, string[]> = {
  prompts: ['{"messages": {"length": {"toString": -1}}}'],
  "rows to train on": ['{"dataset": {"length": {"toString": -1}}, "messages": []}'],
  "settings.json of a run": [
    '{"betas": [{"toString": [false]}]}',
    '{"$provenance": {"recipe": 1, "origins": {"model": null}}}',
    '"text"',
  ],
};

describe.each(parsers)("$name", (parser) => {
  test("is read as it should be", async () => {
    writeFileSync(parser.path, parser.valid);
    await parser.read();
  });

  test.each(MET_BEFORE[parser.name] ?? [])("%s is read or refused with an error of ours", async (text) => {
    writeFileSync(parser.path, text);
    await Promise.resolve(parser.read()).catch((error: unknown) =>
      expect(error).toBeInstanceOf(CamelidError),
    );
  });

  test(`damaged in ${ROUNDS} ways, is read or refused with an error of ours, soon and in little memory`, async () => {
    const outcomes = await survive(parser, ROUNDS, 20261122);
    // Both outcomes have to occur, or the damage is too weak or too strong to test anything.
    expect(outcomes.get("read")).toBeGreaterThan(ROUNDS / 100);
    // Records of a run are read as far as they can be, whatever happened to them.
    if (!["events.jsonl", "lineage"].includes(parser.name)) expect(outcomes.size).toBeGreaterThan(1);
  });
});
