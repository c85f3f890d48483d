/** RoBERTa with a classification head equals transformers: token ids, truncation, logits. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Asked, Outcome } from "../../packages/camelid/src/eval/backend.js";
import { openClassifier } from "../../packages/camelid/src/eval/judges/open-classifier.js";
import { loadRobertaClassifier } from "../../packages/camelid/src/model/roberta.js";
import { loadEncoderTokenizer } from "../../packages/camelid/src/tokenizer/encoder-tokenizer.js";
import { parityPath, readReferenceJson } from "./reference.js";

const FOLDER = parityPath("roberta/fixtures/model");
const { rows, max_tokens } = readReferenceJson<{
  max_tokens: number;
  rows: { text: string; input_ids: number[]; logits: number[] }[];
}>("roberta/fixtures/reference.json");

const scratch = mkdtempSync(join(tmpdir(), "roberta-"));
beforeAll(() => torch.setNumThreads(1));
afterAll(() => rmSync(scratch, { recursive: true }));

test("vocab.json and merges.txt give transformers' token ids", async () => {
  const encode = await loadEncoderTokenizer(FOLDER);
  const ids = await encode(rows.map(({ text }) => text));
  expect(ids.map((row) => [0, ...row.slice(0, max_tokens - 2), 2])).toEqual(
    rows.map(({ input_ids }) => input_ids),
  );
  expect(ids.some((row) => row.length > max_tokens)).toBe(true); // one text had to be cut
});

test("logits are transformers', alone and beside other rows, and nothing stays in memory", () => {
  const before = torch.memoryStats().liveTensors;
  {
    using model = loadRobertaClassifier(FOLDER);
    expect([model.numLabels, model.maxTokens]).toEqual([2, max_tokens]);
    const together = model.logits(rows.map(({ input_ids }) => input_ids));
    rows.forEach(({ input_ids, logits }, i) => {
      const alone = model.logits([input_ids])[0]!;
      logits.forEach((logit, label) => {
        expect(Math.abs(alone[label]! - logit)).toBeLessThan(1e-5);
        expect(Math.abs(together[i]![label]! - logit)).toBeLessThan(1e-5);
      });
    });
  }
  expect(torch.memoryStats().liveTensors).toBe(before);
});

test("as an answerer it gives probabilities and counts the texts it cut", async () => {
  const settings = { role: "classifier", cache: scratch, dryRun: false, concurrency: 1 };
  await using backend = await openClassifier({
    ...settings,
    model: FOLDER,
    signal: new AbortController().signal,
  });
  const batch = rows.map(({ text }): Asked => {
    return { request: { kind: "classify", text, to: "classifier" }, seed: 0, where: "" };
  });
  const outcomes: Outcome[] = [];
  await backend.ask(batch, (index, outcome) => (outcomes[index] = outcome), new AbortController().signal);
  outcomes.forEach((outcome, i) => {
    if (!("answer" in outcome) || outcome.answer.kind !== "classify") throw new Error("no answer");
    const [a, b] = rows[i]!.logits.map(Math.exp) as [number, number];
    expect(outcome.answer.probabilities[1]).toBeCloseTo(b / (a + b), 5);
  });
  expect(backend.stats()).toMatchObject({ texts: rows.length, texts_cut: 1 });
});

test("a folder of another kind, or with weights missing, is refused by name", async () => {
  expect(() => loadRobertaClassifier(scratch)).toThrow(expect.objectContaining({ code: "ERR_ROBERTA" }));
  writeFileSync(join(scratch, "config.json"), JSON.stringify({ model_type: "llama" }));
  expect(() => loadRobertaClassifier(scratch)).toThrow(/model_type/);
  copyFileSync(join(FOLDER, "config.json"), join(scratch, "config.json"));
  writeFileSync(join(scratch, "model.safetensors"), emptySafetensors());
  expect(() => loadRobertaClassifier(scratch)).toThrow(/the weights lack "roberta.embeddings/);
  writeFileSync(join(scratch, "vocab.json"), "{");
  await expect(loadEncoderTokenizer(scratch)).rejects.toThrow(
    expect.objectContaining({ code: "ERR_TOKENIZER_INVALID" }),
  );
});

function emptySafetensors(): Uint8Array {
  const bytes = new Uint8Array(10);
  bytes[0] = 2;
  bytes.set([0x7b, 0x7d], 8); // {}
  return bytes;
}
