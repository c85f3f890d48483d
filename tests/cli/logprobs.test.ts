import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "../parity/reference.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { builtCamelid, camelid, readJsonLines } from "./camelid.js";
import { wordsOf, writeNumberTokenizer } from "./number-tokenizer.js";

interface LogprobsLine {
  id: string;
  input_ids: number[];
  labels: number[];
  token_logps: number[];
  loss: number | null;
}

const root = mkdtempSync(join(tmpdir(), "camelid-logprobs-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 12 });
});

describe("the file of `camelid logprobs`", () => {
  test("has one line a row, in order, with the promised names, types and lengths", async () => {
    const out = join(root, "lines.jsonl");
    const run = await builtCamelid(
      "logprobs",
      "--model",
      tiny.model,
      "--data",
      tiny.data,
      "--out",
      out,
      "--threads",
      "1",
    );
    expect(run).toMatchObject({ code: 0 });
    const lines = readJsonLines<LogprobsLine>(out);
    expect(lines.map(({ id }) => id)).toEqual(readJsonLines<{ id: string }>(tiny.data).map(({ id }) => id));
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(["id", "input_ids", "labels", "token_logps", "loss"]);
      const n = line.input_ids.length;
      expect(line.labels).toHaveLength(n);
      expect(line.token_logps).toHaveLength(n - 1);
      for (const [t, id] of line.input_ids.entries()) expect([-100, id]).toContain(line.labels[t]);
      for (const logp of line.token_logps) expect(logp).toBeLessThan(0);
      const trained = line.token_logps.filter((_, t) => line.labels[t + 1] !== -100);
      expect(line.loss).toBeCloseTo(-trained.reduce((a, b) => a + b) / trained.length, 5);
    }
  });

  test("does not depend on how many rows go through the model together", async () => {
    const [one, all] = [join(root, "one.jsonl"), join(root, "all.jsonl")];
    const words = ["logprobs", "--model", tiny.model, "--data", tiny.data, "--threads", "1"];
    await camelid(...words, "--out", one);
    await camelid(...words, "--out", all, "--micro-batch-size", "12");
    const expected = readJsonLines<LogprobsLine>(one);
    readJsonLines<LogprobsLine>(all).forEach((line, row) => {
      expect(line.input_ids).toEqual(expected[row]!.input_ids);
      expect(line.token_logps).toBeAllClose(expected[row]!.token_logps, { atol: 1e-5, rtol: 0 });
    });
  });

  test("holds no loss where no token is trained, and cuts rows at maxSeqLen", async () => {
    const [data, out] = [join(root, "prompts.jsonl"), join(root, "prompts-out.jsonl")];
    writeFileSync(data, `${JSON.stringify({ messages: [{ role: "user", content: "alpaca guanaco?" }] })}\n`);
    const { code } = await camelid(
      "logprobs",
      "--model",
      tiny.model,
      "--data",
      data,
      "--out",
      out,
      "--max-seq-len",
      "7",
    );
    expect(code).toBe(0);
    const [line] = readJsonLines<LogprobsLine>(out);
    expect(line).toMatchObject({ id: "prompts_0", loss: null, labels: Array(7).fill(-100) });
    expect(line!.token_logps).toHaveLength(6);
  });
});

interface Reference {
  rows: { input_ids: number[]; labels: number[] }[];
  loss: number;
  trained_tokens: number;
}

// Contents such as "t7 t12" become the ids 7 and 12, so that the command sees exactly the reference's rows.
describe.each(readdirSync(parityPath("llama/fixtures")))("%s", (name) => {
  test("ids, labels, log-probabilities and loss equal those of transformers", async () => {
    const folder = join(root, name);
    cpSync(parityPath(`llama/fixtures/${name}/model`), folder, { recursive: true });
    writeNumberTokenizer(folder);
    const { rows, loss, trained_tokens } = readReferenceJson<Reference>(
      `llama/fixtures/${name}/reference.json`,
    );
    const stored = readReferenceTensors(`llama/fixtures/${name}/reference.safetensors`);
    const [data, out] = [join(folder, "rows.jsonl"), join(folder, "out.jsonl")];
    writeFileSync(data, rows.map((row) => `${JSON.stringify({ messages: turnsOf(row) })}\n`).join(""));

    const words = [
      "--model",
      folder,
      "--data",
      data,
      "--out",
      out,
      "--micro-batch-size",
      "2",
      "--threads",
      "1",
    ];
    expect(await camelid("logprobs", ...words)).toMatchObject({ code: 0 });
    const lines = readJsonLines<LogprobsLine>(out);
    lines.forEach((line, row) => {
      expect({ input_ids: line.input_ids, labels: line.labels }).toEqual(rows[row]);
      expect(line.token_logps).toBeAllClose(stored.get(`token_logps.${row}`).data, { atol: 1e-5, rtol: 0 });
    });
    const trained = lines.map(({ labels }) => labels.filter((label) => label !== -100).length);
    const sum = lines.reduce((total, line, row) => total + line.loss! * trained[row]!, 0);
    expect(sum / trained_tokens).toBeAllClose(loss, { atol: 1e-5, rtol: 0 });
  });
});

/** Turns whose trained stretches are those of the labels. */
function turnsOf({ input_ids, labels }: Reference["rows"][number]) {
  const messages: { role: "user" | "assistant"; ids: number[] }[] = [{ role: "user", ids: [] }];
  for (let t = 1; t < input_ids.length; t++) {
    const role = labels[t] === -100 ? "user" : "assistant";
    if (messages.at(-1)!.role !== role) messages.push({ role, ids: [] });
    messages.at(-1)!.ids.push(input_ids[t]!);
  }
  return messages.map(({ role, ids }) => ({ role, content: wordsOf(ids) }));
}
