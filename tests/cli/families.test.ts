/** The commands on a model of every family: preflight, training in full and with adapters on 4 bits, answers, scores, merging. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FamilyName, familyModel } from "../export/family-models.js";
import { camelid, readJsonLines } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-families-cli-"));
afterAll(() => rmSync(root, { recursive: true }));

const ROWS = Array.from({ length: 8 }, (_, i) => ({
  messages: [
    { role: "user", content: `the user asked ${i} for the answer and the answer was ${"a ".repeat(i * 9)}` },
    { role: "assistant", content: `the assistant gave the answer to the user there and then, ${i} times` },
  ],
}));
const data = join(root, "rows.jsonl");
const prompts = join(root, "prompts.jsonl");

beforeAll(() => {
  writeFileSync(data, ROWS.map((row) => `${JSON.stringify(row)}\n`).join(""));
  writeFileSync(prompts, '{"messages":[{"role":"user","content":"Which answer?"}]}\n{"prompt":"the user"}\n');
});

const FAMILIES: readonly FamilyName[] = ["llama3", "mistral", "qwen2", "qwen3", "olmo2"];

describe.each(FAMILIES)("%s", (family) => {
  let model: string;
  beforeAll(async () => {
    model = await familyModel(family, join(root, family));
  });
  const sft = (out: string, ...more: string[]) =>
    camelid(
      ...[
        "sft",
        "--model",
        model,
        "--data",
        data,
        "--out",
        out,
        "--max-steps",
        "2",
        "--micro-batch-size",
        "4",
      ],
      ...["--learning-rate", "1e-3", ...more],
    );

  test("passes preflight and trains; the result answers and scores", async () => {
    const out = join(root, `${family}-full`);
    const trained = await sft(out);
    expect(trained.code, trained.err).toBe(0);
    const steps = readJsonLines<{ event: string; loss?: number; grad_norm?: number }>(
      join(out, "events.jsonl"),
    );
    for (const { loss, grad_norm } of steps.filter(({ event }) => event === "step-end")) {
      expect(loss).toBeGreaterThan(0);
      expect(grad_norm).toBeGreaterThan(0);
    }
    const answers = join(root, `${family}-answers.jsonl`);
    const final = join(out, "final");
    const generated = await camelid(
      ...["generate", "--model", final, "--prompts", prompts, "--out", answers, "--max-new-tokens", "6"],
    );
    expect(generated.code, generated.err).toBe(0);
    expect(readJsonLines(answers)).toHaveLength(2);
    const scores = join(root, `${family}-scores.jsonl`);
    const scored = await camelid("logprobs", "--model", final, "--data", data, "--out", scores);
    expect(scored.code, scored.err).toBe(0);
    for (const { loss } of readJsonLines<{ loss: number }>(scores)) expect(loss).toBeLessThan(12);
  });

  test("trains adapters on a 4-bit base, which merge", async () => {
    const out = join(root, `${family}-qlora`);
    const trained = await sft(out, "--lora-rank", "4", "--set", "quantize.doubleQuant=true");
    expect(trained.code, trained.err).toBe(0);
    const merged = join(root, `${family}-merged`);
    const exported = await camelid("export", "--model", out, "--to", "merged", "--out", merged);
    expect(exported.code, exported.err).toBe(0);
    expect(JSON.parse(readFileSync(join(merged, "config.json"), "utf8"))).toMatchObject({
      model_type: JSON.parse(readFileSync(join(model, "config.json"), "utf8")).model_type,
    });
  });
});
