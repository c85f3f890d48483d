/** `camelid mix` as people run it: the build, in a process of its own, with threads. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Manifest } from "../../packages/camelid/src/data/mix/manifest.js";

const main = fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));
const tokenizer = fileURLToPath(new URL("../fixtures/llama-tokenizer", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "camelid-mix-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

function camelid(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "mix", ...words], {
    encoding: "utf8",
    cwd: folder,
  });
  return { status, stdout, stderr };
}

describe.skipIf(!existsSync(main))("the built command (npm run build)", () => {
  beforeAll(() => {
    const words = "river stone quiet seven garden letter green window table light".split(" ");
    const text = (i: number, length: number) =>
      Array.from({ length }, (_, k) => words[(i * 7 + k * (1 + (i % 5))) % 10]).join(" ");
    const rows = Array.from({ length: 5000 }, (_, i) => ({
      prompt: `${i % 4500} ${text(i, 12)}`,
      completion: `${text(i + 1, 60)} ${i % 900 === 0 ? "ChatGPT" : ""}`,
    }));
    writeFileSync(join(folder, "a.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    writeFileSync(join(folder, "b.json"), JSON.stringify(rows.slice(0, 500)));
    writeFileSync(
      join(folder, "mix.yaml"),
      "name: threads\nsources:\n  - { name: a, files: a.jsonl }\n  - { name: b, files: b.json, rows: 300, upsample: true }\nfilter: word\nheldOut: 0.05\n",
    );
  });

  test("the result does not depend on the number of threads", () => {
    const files = ["1", "2", "3"].map((threads) => {
      const { status, stderr } = camelid(
        "--config",
        "mix.yaml",
        "--out",
        `out-${threads}`,
        "--threads",
        threads,
        "--tokenizer",
        tokenizer,
        "--no-parquet",
      );
      expect(status, stderr).toBe(0);
      const { files, totals } = JSON.parse(
        readFileSync(join(folder, `out-${threads}`, "manifest.json"), "utf8"),
      ) as Manifest;
      return { files, totals };
    });
    expect(files[1]).toEqual(files[0]);
    expect(files[2]).toEqual(files[0]);
    expect(files[0]!.totals.filtered).toBeGreaterThan(0);
    expect(files[0]!.totals.trainedTokens).toBeGreaterThan(50_000);
  });

  test("--explain tells where a row went, and what to ask for when the id is unknown", () => {
    camelid("--config", "mix.yaml", "--out", "explained", "--no-parquet");
    expect(camelid("--out", "explained", "--explain", "a_0").stdout).toMatch(
      /a\.jsonl row 1, source a\n {2}fate {3}filtered \(contains "ChatGPT"\)/,
    );
    expect(camelid("--out", "explained", "--explain", "a_1").stdout).toMatch(
      /fate {3}(written: train|held-out: held-out)\.jsonl line \d+/,
    );
    expect(camelid("--out", "explained", "--explain", "nobody").stdout).toMatch(/FILE:ROW/);
  });

  test("mistakes end with exit code 2 and say what to do", () => {
    for (const [words, pattern] of [
      [["--out", "x"], /--preset tulu2/],
      [["--preset", "tulu2", "--out", "x"], /--sources DIR/],
      [["--preset", "tulu2", "--sources", ".", "--out", "x"], /11 of 11 sources are not there/],
      [["--config", "mix.yaml", "--out", ".", "--threads", "2"], /the output folder holds other files/],
      [["--config", "absent.yaml", "--out", "x"], /settings file cannot be read/],
      [["--config", "mix.yaml", "--out", "x", "--dedup", "fuzzy"], /exact,near/],
    ] as const) {
      const { status, stderr } = camelid(...words);
      expect([status, stderr], words.join(" ")).toEqual([2, expect.stringMatching(pattern)]);
    }
  });

  test("a worker's error reaches the user as it is", () => {
    writeFileSync(join(folder, "bad.jsonl"), `${'{"prompt":"q","completion":"a"}\n'.repeat(20)}{"prompt":\n`);
    writeFileSync(join(folder, "bad.yaml"), "sources: [{ name: bad, files: bad.jsonl }]\n");
    const { status, stderr } = camelid("--config", "bad.yaml", "--out", "bad-out", "--threads", "2");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/ERR_DATA_JSON[\s\S]*bad\.jsonl line 21/)]);
  });
});
