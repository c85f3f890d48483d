/**
 * Rows equal the original converter's, byte for byte, over generated files of every source.
 * expected.json was printed by original.py, which runs the original scripts unmodified; see there.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Manifest } from "../../../packages/camelid/src/data/mix/manifest.js";
import { mix } from "../../../packages/camelid/src/data/mix/mix.js";
import { tulu1Mixture, tulu2Mixture } from "../../../packages/camelid/src/data/presets/tulu.js";
import { sharedData } from "../../shared-data.js";
import { writeTuluSources } from "./make-sources.js";
import { writeRealSources } from "./real-sources.js";

interface Digest {
  rows: number;
  sha256: string;
  first: string;
  last: string;
}
interface Expected {
  flan_resampled: Digest;
  written: Record<string, Digest>;
  filtered: Record<string, Digest>;
}
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const stored = (name: string) => JSON.parse(readFileSync(path(name), "utf8")) as Expected;

const scratch = mkdtempSync(join(tmpdir(), "camelid-tulu-"));
const generated = process.env.CAMELID_PARITY_SOURCES ?? join(scratch, "generated");
const real = process.env.CAMELID_PARITY_REAL ?? join(scratch, "real");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let manifest: Manifest;
beforeAll(async () => {
  await writeTuluSources(generated);
  copyTokenizer(generated);
  manifest = await mixInto("mix", tulu2Mixture, generated);
});

/** Beside the sources, where original.py looks for it. */
function copyTokenizer(folder: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync(path("../../fixtures/llama-tokenizer"), join(folder, "tokenizer"), { recursive: true });
}

async function mixInto(
  name: string,
  preset: typeof tulu2Mixture,
  sources: string,
  allowMissing = false,
): Promise<Manifest> {
  const { mixture, missing } = preset(sources, { allowMissing, hasTokenizer: true });
  expect(missing).toEqual([]);
  return await mix(mixture, {
    out: join(scratch, name),
    tokenizer: join(sources, "tokenizer"),
    countTokens: false,
    onBad: "stop",
    allowFewer: allowMissing,
    threads: 1,
  });
}

/** The digest original.py takes: lines of one source, in file order. */
function digests(file: string): Record<string, Digest> {
  const lines = new Map<string, string[]>();
  for (const line of readFileSync(file, "utf8").split("\n").slice(0, -1)) {
    const source = (JSON.parse(line) as { dataset: string }).dataset.split(".")[0]!;
    const known = lines.get(source);
    if (known === undefined) lines.set(source, [`${line}\n`]);
    else known.push(`${line}\n`);
  }
  const sorted = [...lines].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([source, rows]) => [source, digest(rows)]));
}

function digest(rows: readonly string[]): Digest {
  const sha256 = createHash("sha256").update(rows.join("")).digest("hex");
  return { rows: rows.length, sha256, first: rows[0]!, last: rows.at(-1)! };
}

test("every source writes the original's rows, byte for byte", () => {
  const { written } = stored("expected.json");
  expect(Object.keys(written)).toHaveLength(11);
  expect(digests(join(scratch, "mix", "train.jsonl"))).toEqual(written);
});

test("the keyword filter removes the original's rows, byte for byte", () => {
  expect(digests(join(scratch, "mix", "removed.jsonl"))).toEqual(stored("expected.json").filtered);
});

test("the manifest tells the quotas that were drawn", () => {
  const sampled = Object.fromEntries(manifest.sources.map(({ name, sampled }) => [name, sampled]));
  expect(sampled).toMatchObject({
    cot: 50_000,
    gpt4_alpaca: 20_000,
    wizardlm: 30_000,
    open_orca: 30_000,
    hard_coded: 140,
  });
  expect(manifest.sources.map(({ name }) => name)).toEqual(
    "flan_v2 cot oasst1 lima gpt4_alpaca code_alpaca sharegpt wizardlm open_orca science hard_coded".split(
      " ",
    ),
  );
});

test("resampling FLAN's submixes draws the original script's lines", async () => {
  const { rows, first, last } = stored("expected.json").flan_resampled;
  const submixes = join(scratch, "submixes");
  cpSync(join(generated, "flan_v2"), join(submixes, "flan_v2"), { recursive: true });
  rmSync(join(submixes, "flan_v2/tulu_v2_resampled_flan_50k.jsonl"));
  const { mixture } = tulu2Mixture(submixes, { allowMissing: true, hasTokenizer: false });
  await mix(mixture, { out: join(scratch, "flan"), onBad: "stop", allowFewer: false, threads: 1 });
  const lines = readFileSync(join(scratch, "flan/train.jsonl"), "utf8").split("\n").slice(0, -1);
  // The same rows as the script's file, after conversion: inputs gain a newline.
  const drawn = lines.map((line) => {
    const [user, assistant] = (JSON.parse(line) as { messages: { content: string }[] }).messages;
    return `${JSON.stringify({ inputs: user!.content.trimEnd(), targets: assistant!.content })}\n`;
  });
  expect(digest(drawn)).toEqual({ ...stored("expected.json").flan_resampled, rows, first, last });
});

test("real rows of every Tülu 1 source equal the original's, byte for byte", async ({ skip }) => {
  const shared = sharedData();
  if (shared === undefined) return skip("the real data files are not here (CAMELID_SHARED_DATA)");
  writeRealSources(shared, real);
  copyTokenizer(real);
  await mixInto("mix-real", tulu1Mixture, real, true);
  const { written } = stored("expected-real.json");
  expect(Object.keys(written)).toHaveLength(7);
  expect(digests(join(scratch, "mix-real", "train.jsonl"))).toEqual(written);
});
