/** `camelid show`: what the Studio shows, as text and as JSON. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeEval, writeRun } from "../studio/generated.js";
import { camelid, expectOneClearError } from "./camelid.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-show-"));
const cache = process.env.CAMELID_CACHE;

beforeAll(() => {
  process.env.CAMELID_CACHE = join(folder, "cache");
  writeRun(join(folder, "out", "one"), { steps: 20, nanAt: 20, status: "failed" });
  writeEval(join(folder, "out", "a"), "a", (_, i) => i % 2 === 0);
  writeEval(join(folder, "out", "b"), "b", (_, i) => i % 4 === 0);
  const rows = ["first", "second"].map((text, i) =>
    JSON.stringify({ dataset: "d", id: `${i}`, messages: [{ role: "user", content: text }] }),
  );
  writeFileSync(join(folder, "rows.jsonl"), `${rows[0]}\n\nnot a row\n${rows[1]}\n`);
  const side = (model: string, text: string) => ({ model, text, finishReason: "stop" });
  const votes = ["a", "a", "b", "tie"].map((winner, i) =>
    JSON.stringify({
      ...{
        id: `${i}`,
        time: "2026-01-05T08:00:00.000Z",
        messages: [{ role: "user", content: "?" }],
        left: "a",
        winner,
      },
      ...{
        a: side("m/x", "yes"),
        b: side("m/y", "no"),
        decoding: { maxNewTokens: 8, temperature: 0, topP: 1, seed: 0 },
      },
    }),
  );
  mkdirSync(join(folder, "out", "studio"));
  writeFileSync(join(folder, "out", "studio", "votes.jsonl"), `${votes.join("\n")}\n{"cut`);
});
afterAll(() => {
  if (cache === undefined) delete process.env.CAMELID_CACHE;
  else process.env.CAMELID_CACHE = cache;
  rmSync(folder, { recursive: true, force: true });
});

test("runs are listed with what they are, and NaN is NaN", async () => {
  const text = await camelid("show", "runs", join(folder, "out"));
  expect(text.out).toMatch(/out\/one +sft +failed +20\/20 +NaN/);
  const { out } = await camelid("show", "runs", join(folder, "out"), "--json");
  expect(JSON.parse(out)).toMatchObject([{ id: "out/one", status: "failed", loss: "NaN", step: 20 }]);
});

test("a step tells its numbers and its rows", async () => {
  const { out } = await camelid("show", "run", join(folder, "out", "one"), "--step", "7", "--json");
  const detail = JSON.parse(out);
  expect(detail.rows).toHaveLength(4);
  expect(detail.numbers.map(({ name }: { name: string }) => name)).toContain("loss");
});

test("SQL counts rows as the file has them: a broken line takes its place, a blank one does not", async () => {
  const { out } = await camelid(
    "show",
    "rows",
    join(folder, "rows.jsonl"),
    "SELECT rowid, prompt FROM rows ORDER BY rowid",
    "--json",
  );
  expect(JSON.parse(out)).toEqual([
    { rowid: 0, prompt: "first" },
    { rowid: 1, prompt: null },
    { rowid: 2, prompt: "second" },
  ]);
});

test("SQL that is wrong is one clear error", async () => {
  expectOneClearError(await camelid("show", "rows", join(folder, "rows.jsonl"), "SELECT nothing FROM rows"), {
    code: "ERR_STUDIO_SQL",
    says: /nothing/,
  });
});

test("win rates are of decided votes, with Wilson's interval", async () => {
  const { out } = await camelid("show", "votes", folder, "--json");
  const [pairing] = JSON.parse(out);
  expect(pairing).toMatchObject({ a: "m/x", b: "m/y", wins: 2, losses: 1, ties: 1 });
  expect(pairing.rate).toBeCloseTo(2 / 3);
  // (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), with p = 2/3, n = 3, z = 1.96
  expect(pairing.interval[0]).toBeCloseTo(0.2077, 3);
  expect(pairing.interval[1]).toBeCloseTo(0.9385, 3);
});

test("flips are counted task by task", async () => {
  const { out } = await camelid(
    "show",
    "flips",
    join(folder, "out", "a"),
    join(folder, "out", "b"),
    "--task",
    "mmlu",
    "--json",
  );
  expect(JSON.parse(out)).toMatchObject([
    { task: "mmlu", both: 40, gained: 0, lost: 10, bothRight: 10, bothWrong: 20, difference: -25 },
  ]);
});
