/** `camelid kto` and `camelid reward` as people meet them: what they print, refuse and leave behind. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-kto-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"));
});

const judged = Array.from({ length: 12 }, (_, i) => ({
  ...{ prompt: `camel ${i}?`, completion: i % 3 === 0 ? "grass cloud." : `water ${i}.`, label: i % 3 !== 0 },
}));
const pairs = Array.from({ length: 8 }, (_, i) => ({
  ...{ prompt: `camel ${i}?`, chosen: `water ${i}.`, rejected: "grass cloud." },
}));
let runs = 0;
async function train(recipe: "kto" | "reward", rows: readonly object[], ...flags: string[]) {
  const [data, out] = [join(root, `rows-${runs}.jsonl`), join(root, `run-${runs++}`)];
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const places = ["--model", tiny.model, "--data", data, "--out", out];
  return {
    folder: out,
    ...(await camelid(recipe, ...places, "--threads", "1", "--micro-batch-size", "4", ...flags)),
  };
}

test("a KTO run prints its rows, the balance of its judgements, and how answers changed", async () => {
  const run = await train("kto", judged, "--max-new-tokens", "4", "--undesirable-weight", "2");
  expect(run.code, run.err).toBe(0);
  expect(run.err).toMatch(/^source +good +tokens +bad +tokens +prompt +cut$/m);
  expect(run.err).toMatch(/^rows-\d+ +8 +\d+ +4 +\d+ +\d+ +0$/m);
  expect(run.err.replaceAll(/\s+/g, " ")).toMatch(
    /ok balance 8 desirable and 4 undesirable answers, 1.00 : 1/,
  );
  expect(run.err).toMatch(/^answers to 8 prompts {3}\d+ -> \d+ tokens/m);
  expect(existsSync(join(run.folder, "final", "model.safetensors"))).toBe(true);
  expect(readFileSync(join(run.folder, "report.html"), "utf8")).toContain("rewards/margins");
});

test("a row without a label stops a KTO run, names its line, and writes nothing", async () => {
  const { label: _, ...bare } = judged[0]!;
  const run = await train("kto", [...judged, bare]);
  expectOneClearError(run, { code: "ERR_LABEL", says: /label is missing/, where: /line 13/ });
  expect(existsSync(run.folder)).toBe(false);
  const skipped = await train("kto", [...judged, bare], "--on-bad", "skip", "--answer-prompts", "none");
  expect(skipped.code, skipped.err).toBe(0);
  expect(readFileSync(join(skipped.folder, "left-out.txt"), "utf8")).toContain("line 13");
});

test("a reward run prints its pairs and checks, and leaves a classifier with one label", async () => {
  const run = await train("reward", pairs);
  expect(run.code, run.err).toBe(0);
  expect(run.err).toMatch(/^source +pairs +prompt +chosen rejected +cut$/m);
  expect(run.err).toMatch(/ok {4}scores +together, pair by pair, prompts not shared: scores agree/);
  const config = JSON.parse(readFileSync(join(run.folder, "final", "config.json"), "utf8"));
  expect(config.architectures).toEqual(["LlamaForSequenceClassification"]);
  expect(existsSync(join(run.folder, "final", "tokenizer.json"))).toBe(true);
});
