import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { parityPath, readReferenceJson } from "../parity/reference.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { builtCamelid, camelid, readJsonLines } from "./camelid.js";
import { wordsOf, writeNumberTokenizer } from "./number-tokenizer.js";

interface GenerateLine {
  id: string;
  prompt_ids: number[];
  output_ids: number[];
  text: string;
  finish_reason: "stop" | "length";
}

const root = mkdtempSync(join(tmpdir(), "camelid-generate-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 4 });
});

function writeLines(name: string, lines: readonly object[]): string {
  const path = join(root, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

describe("the file of `camelid generate`", () => {
  test("has one line a prompt, in order, with the promised names and types", async () => {
    const question = { messages: [{ role: "user", content: "Which camel?" }] };
    const prompts = writeLines("prompts.jsonl", [
      { prompt: "a" },
      { id: "second", ...question },
      { id: 3, prompt: "" },
    ]);
    const out = join(root, "lines.jsonl");
    const words = ["--model", tiny.model, "--prompts", prompts, "--out", out, "--max-new-tokens", "6"];
    expect(await builtCamelid("generate", ...words, "--threads", "1")).toMatchObject({ code: 0 });
    const lines = readJsonLines<GenerateLine>(out);
    expect(lines.map(({ id }) => id)).toEqual(["0", "second", "3"]);
    const tokenizer = await loadTokenizer(tiny.model);
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(["id", "prompt_ids", "output_ids", "text", "finish_reason"]);
      expect(line.text).toBe(tokenizer.decode(line.output_ids));
      expect(["stop", "length"]).toContain(line.finish_reason);
      if (line.finish_reason === "length") expect(line.output_ids).toHaveLength(6);
      expect(line.output_ids).not.toContain(tokenizer.eosTokenId);
    }
    // Plain text follows the BOS; a conversation goes through the chat template, up to where the answer begins.
    expect(lines[0]!.prompt_ids).toEqual([1, ...(await tokenizer.encode("a"))]);
    const shown = tokenizer.decode(lines[1]!.prompt_ids, { skipSpecialTokens: false });
    expect(shown).toBe("<s><|user|>\nWhich camel?\n<|assistant|>\n");
    expect(lines[2]!.prompt_ids).toEqual([1]);
  });

  test("does not depend on how many prompts are decoded together", async () => {
    const prompts = writeLines(
      "many.jsonl",
      ["a", "alpaca", "b c d e f", "", "camel water"].map((prompt) => ({ prompt })),
    );
    const words = ["generate", "--model", tiny.model, "--prompts", prompts, "--max-new-tokens", "8"];
    const outputs = [1, 3, 16].map((size) => join(root, `batch-${size}.jsonl`));
    for (const [i, size] of [1, 3, 16].entries())
      await camelid(...words, "--batch-size", `${size}`, "--out", outputs[i]!);
    const [first, ...others] = outputs.map((path) => readFileSync(path, "utf8"));
    for (const other of others) expect(other).toBe(first);
  });

  test("samples are lines of their own, decided by the seed alone, and end before stop strings", async () => {
    const prompts = writeLines("sampled.jsonl", [{ id: "a", prompt: "camel" }, { prompt: "b c" }]);
    const words = ["generate", "--model", tiny.model, "--prompts", prompts, "--max-new-tokens", "20"];
    const sampled = async (name: string, ...more: string[]): Promise<GenerateLine[]> => {
      const out = join(root, name);
      const drawing = ["--temperature", "1.3", "--top-p", "0.95", "--top-k", "200", "--samples", "3"];
      const run = await camelid(...words, ...drawing, "--out", out, ...more);
      expect(run.code, run.err).toBe(0);
      return readJsonLines<GenerateLine>(out);
    };
    const first = await sampled("s1.jsonl", "--seed", "3");
    expect(first.map((line) => [line.id, (line as { sample?: number }).sample])).toEqual(
      ["a", "1"].flatMap((id) => [0, 1, 2].map((sample) => [id, sample])),
    );
    expect(new Set(first.map(({ text }) => text)).size).toBeGreaterThan(3);
    expect(await sampled("s2.jsonl", "--seed", "3", "--batch-size", "1")).toEqual(first);
    expect(await sampled("s3.jsonl", "--seed", "4")).not.toEqual(first);
    const stop = first[0]!.text.slice(3, 5);
    const [cut] = await sampled("s4.jsonl", "--seed", "3", "--stop", JSON.stringify([stop]));
    expect(cut).toMatchObject({
      text: first[0]!.text.slice(0, first[0]!.text.indexOf(stop)),
      finish_reason: "stop",
    });
  });

  test("a budget that no text fits into is refused with the bytes it takes", async () => {
    const prompts = writeLines("budget.jsonl", [{ prompt: "camel" }]);
    const words = ["--model", tiny.model, "--prompts", prompts, "--out", join(root, "none.jsonl")];
    const run = await camelid("generate", ...words, "--max-new-tokens", "40", "--kv-cache-bytes", "10000");
    expect(run).toMatchObject({ code: 2, err: expect.stringContaining("ERR_KV_BUDGET") });
  });

  test("a special token typed into a prompt stays text", async () => {
    const prompts = writeLines("typed.jsonl", [
      { prompt: "</s>" },
      { messages: [{ role: "user", content: "</s>" }] },
    ]);
    const out = join(root, "typed-out.jsonl");
    await camelid(
      "generate",
      "--model",
      tiny.model,
      "--prompts",
      prompts,
      "--out",
      out,
      "--max-new-tokens",
      "1",
    );
    for (const { prompt_ids } of readJsonLines<GenerateLine>(out)) expect(prompt_ids).not.toContain(2);
  });
});

interface LlamaReference {
  greedy: { prompt_ids: number[]; output_ids: number[] }[];
}

// Prompts such as "t7 t12" become the ids 7 and 12 behind the BOS, so that the command sees the reference's prompts.
describe.each(readdirSync(parityPath("llama/fixtures")))("%s", (name) => {
  test("greedy tokens equal those of transformers", async () => {
    const folder = join(root, name);
    const { greedy } = readReferenceJson<LlamaReference>(`llama/fixtures/${name}/reference.json`);
    copyModel(`llama/fixtures/${name}/model`, folder, { eos_token_id: null });
    const lines = await generated(
      folder,
      greedy.map(({ prompt_ids }) => prompt_ids.slice(1)),
      greedy[0]!.output_ids.length,
    );
    expect(lines.map(({ prompt_ids, output_ids }) => ({ prompt_ids, output_ids }))).toEqual(
      greedy.map(({ prompt_ids, output_ids }) => ({ prompt_ids, output_ids })),
    );
    for (const line of lines) expect(line.finish_reason).toBe("length");
  });
});

interface DecodeReference {
  model: string;
  prompts: number[][];
  cases: {
    name: string;
    eos_token_ids: number[];
    max_new_tokens: number;
    outputs: number[][];
    finish_reasons: string[];
  }[];
}

const decoding = readReferenceJson<DecodeReference>("generate/fixtures/reference.json");

describe.each(decoding.cases)(
  "end tokens $eos_token_ids",
  ({ name, eos_token_ids, max_new_tokens, ...expected }) => {
    test("outputs and finish reasons equal those of transformers", async () => {
      for (const addBos of [true, false]) {
        const folder = join(root, `decode-${name}-${addBos}`);
        copyModel(`llama/fixtures/${decoding.model}/model`, folder, { eos_token_id: eos_token_ids });
        // A tokenizer that puts no BOS in front of texts gets none here either.
        writeNumberTokenizer(folder, { addBos });
        const chosen = decoding.prompts.flatMap((ids, i) => ((ids[0] === 1) === addBos ? [i] : []));
        expect(chosen).not.toHaveLength(0);
        const prompts = chosen.map((i) => decoding.prompts[i]!.slice(addBos ? 1 : 0));
        const lines = await generated(folder, prompts, max_new_tokens);
        expect(lines.map((line) => line.prompt_ids)).toEqual(chosen.map((i) => decoding.prompts[i]));
        expect(lines.map((line) => line.output_ids)).toEqual(chosen.map((i) => expected.outputs[i]));
        expect(lines.map((line) => line.finish_reason)).toEqual(
          chosen.map((i) => expected.finish_reasons[i]),
        );
      }
    });
  },
);

/** Copies a stored model with a tokenizer of number words, and changes fields of its config; that alone says where texts end. */
function copyModel(from: string, to: string, changes: object): void {
  cpSync(parityPath(from), to, { recursive: true });
  rmSync(join(to, "generation_config.json"), { force: true });
  const path = join(to, "config.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...changes }));
  writeNumberTokenizer(to);
}

async function generated(
  folder: string,
  prompts: readonly (readonly number[])[],
  maxNewTokens: number,
): Promise<GenerateLine[]> {
  const [file, out] = [join(folder, "prompts.jsonl"), join(folder, "out.jsonl")];
  writeFileSync(file, prompts.map((ids) => `${JSON.stringify({ prompt: wordsOf(ids) })}\n`).join(""));
  const words = ["--model", folder, "--prompts", file, "--out", out, "--max-new-tokens", `${maxNewTokens}`];
  expect(await camelid("generate", ...words, "--threads", "1")).toMatchObject({ code: 0 });
  return readJsonLines<GenerateLine>(out);
}
