/** `camelid dpo` as people meet it: what it prints, refuses and leaves behind. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-dpo-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"));
});

const good = Array.from({ length: 8 }, (_, i) => ({
  ...{ prompt: `camel ${i}?`, chosen: `water ${i}.`, rejected: "grass cloud." },
}));
let runs = 0;
async function dpo(rows: readonly object[], ...flags: string[]) {
  const [data, out] = [join(root, `pairs-${runs}.jsonl`), join(root, `run-${runs++}`)];
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const places = ["--model", tiny.model, "--data", data, "--out", out];
  const small = ["--threads", "1", "--micro-batch-size", "4", "--max-new-tokens", "4"];
  return { folder: out, ...(await camelid("dpo", ...places, ...small, ...flags)) };
}

test("a run prints its pairs, the table of preflight, and what else changed", async () => {
  const run = await dpo(good);
  expect(run.code, run.err).toBe(0);
  expect(run.err).toMatch(/^source +pairs +prompt +chosen rejected +cut$/m);
  expect(run.err).toMatch(/ok {4}pairs +together, pair by pair, prompts not shared: losses agree/);
  expect(run.err).toMatch(/^answers to 8 prompts {3}\d+ -> \d+ tokens/m);
  expect(run.err).toMatch(/preferred answers [\d.]+ -> [\d.]+ nats\/token/);
  expect(existsSync(join(run.folder, "final", "model.safetensors"))).toBe(true);
  expect(readFileSync(join(run.folder, "report.html"), "utf8")).toContain("What else changed");
});

describe("a pair that cannot be used stops the run, names its line, and writes nothing:", () => {
  const say = (role: string, content: string) => ({ role, content });
  const bad: [string, object, string[], string, RegExp][] = [
    [
      "identical sides",
      { ...good[0]!, chosen: "same", rejected: " same " },
      [],
      "ERR_PAIR_IDENTICAL",
      /are the same/,
    ],
    ["an empty answer", { ...good[0]!, chosen: "  " }, [], "ERR_PAIR_EMPTY", /no answer/],
    [
      "different prompts",
      {
        chosen: [say("user", "a"), say("assistant", "x")],
        rejected: [say("user", "b"), say("assistant", "y")],
      },
      [],
      "ERR_PAIR_PROMPT",
      /differ before their last answer/,
    ],
    [
      "one side cut away",
      { ...good[0]!, prompt: "water ".repeat(60) },
      ["--max-seq-len", "48"],
      "ERR_PAIR_CUT",
      /an answer is lost/,
    ],
    [
      "sides that differ only beyond the limit",
      { ...good[0]!, chosen: `${"water ".repeat(60)}1`, rejected: `${"water ".repeat(60)}2` },
      ["--max-seq-len", "48"],
      "ERR_PAIR_CUT",
      /the two sides are the same/,
    ],
  ];
  test.each(bad)("%s", async (_name, row, flags, code, says) => {
    const run = await dpo([...good, row], ...flags);
    expectOneClearError(run, { code, says, where: /line 9/ });
    expect(existsSync(run.folder)).toBe(false);
    const skipped = await dpo([...good, row], ...flags, "--on-bad", "skip", "--answer-prompts", "none");
    expect(skipped.code, skipped.err).toBe(0);
    expect(readFileSync(join(skipped.folder, "left-out.txt"), "utf8")).toContain("line 9");
  });
});

test("a preferred answer longer than the limit is trained without its end, and its line is told", async () => {
  const run = await dpo([...good, { ...good[0]!, chosen: "water ".repeat(60) }], "--max-seq-len", "48");
  expect(run.code, run.err).toBe(0);
  expect(run.err.replaceAll(/\s+/g, " ")).toMatch(/1 preferred answers lose their end: [^ ]+ line 9/);
});
