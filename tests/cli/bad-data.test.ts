/** Data and prompts that cannot be used: one clear error with the line, and nothing written. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-bad-data-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
let folder: string;
let out: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
});
beforeEach(() => {
  folder = mkdtempSync(join(root, "test-"));
  out = join(folder, "run");
});

const user = { role: "user", content: "a camel?" };
const assistant = { role: "assistant", content: "a llama." };
const good = JSON.stringify({ messages: [user, assistant] });
const row = (...messages: object[]) => JSON.stringify({ messages });

const badRows: [what: string, lines: string[], code: string, says: RegExp, where?: RegExp][] = [
  ["a line cut in its middle", [good, good.slice(0, 30)], "ERR_JSON", /not JSON/, /rows\.jsonl line 2/],
  ["two values on a line", [`${good}${good}`], "ERR_JSON", /not JSON/, /line 1/],
  ["NaN, which is not JSON", [`{"messages": NaN}`], "ERR_JSON", /not JSON/, /line 1/],
  ["a number for a row", [good, "17"], "ERR_ROW_SHAPE", /not a conversation/, /line 2/],
  ["null for a row", [good, "null"], "ERR_ROW_SHAPE", /not a conversation/, /line 2/],
  [
    "messages that are no list",
    ['{"messages": "hello"}'],
    "ERR_ROW_SHAPE",
    /messages: /,
    /line 1, field messages/,
  ],
  ["a row of another format", ['{"instruction": "a", "output": "b"}'], "ERR_ROW_SHAPE", /messages/, /line 1/],
  [
    "a content that is no text",
    [row(user, { role: "assistant", content: ["x"] })],
    "ERR_ROW_SHAPE",
    /content/,
    /messages\[1\]\.content/,
  ],
  [
    "a role nobody knows",
    [row(user, { role: "bot", content: "x" })],
    "ERR_ROW_SHAPE",
    /role/,
    /messages\[1\]\.role/,
  ],
  [
    "a field that would change the meaning",
    [row(user, { ...assistant, weight: 0 })],
    "ERR_ROW_SHAPE",
    /weight/,
  ],
  [
    "an answer at the start",
    [good, row(assistant, user)],
    "ERR_CHAT_ROLE_ORDER",
    /starts with role "assistant"/,
    /line 2, field messages\[0\]\.role/,
  ],
  [
    "two user turns in a row",
    [row(user, user, assistant)],
    "ERR_CHAT_ROLE_ORDER",
    /"user" follows role "user"/,
  ],
  [
    "a system message in the middle",
    [row(user, { role: "system", content: "x" })],
    "ERR_CHAT_ROLE_ORDER",
    /system/,
  ],
  ["an empty conversation", [good, row()], "ERR_CHAT_EMPTY", /no messages/, /line 2/],
  ["a conversation without an answer", [row(user)], "ERR_NO_TRAINED_TOKEN", /nothing to train/, /line 1/],
  [
    "half of a surrogate pair",
    [String.raw`{"messages":[{"role":"user","content":"\ud800"}]}`],
    "ERR_ROW_SHAPE",
    /surrogate/,
  ],
  ["brackets nested a hundred thousand deep", ["[".repeat(100_000)], "ERR_JSON", /not JSON/],
];

describe("rows", () => {
  test.each(badRows)("%s", async (_, lines, code, says, where) => {
    const data = join(folder, "rows.jsonl");
    writeFileSync(data, `${lines.join("\n")}\n`);
    const run = await camelid("sft", "--model", tiny.model, "--data", data, "--out", out, "--threads", "1");
    expectOneClearError(run, { code, says, where: where ?? /rows\.jsonl/ });
    expect(existsSync(out)).toBe(false);
  });

  test.each<[string, Buffer | undefined, string, RegExp, string?]>([
    ["a file that is not there", undefined, "ERR_FILE_MISSING", /no such file/],
    ["a file without rows", Buffer.alloc(0), "ERR_NO_ROWS", /no rows/],
    ["a file of blank lines", Buffer.from("\n \n\t\n"), "ERR_NO_ROWS", /no rows/],
    ["an empty list", Buffer.from("[]"), "ERR_NO_ROWS", /no rows/],
    ["bytes that are not UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a]), "ERR_FILE_DAMAGED", /UTF-8/],
    [
      "a gzip file cut off",
      gzipSync(good.repeat(50)).subarray(0, 40),
      "ERR_FILE_DAMAGED",
      /unpacked/,
      "rows.jsonl.gz",
    ],
    ["text with the name of a gzip file", Buffer.from(good), "ERR_FILE_DAMAGED", /unpacked/, "rows.jsonl.gz"],
  ])("%s", async (_, bytes, code, says, name = "rows.jsonl") => {
    const data = join(folder, name);
    if (bytes !== undefined) writeFileSync(data, bytes);
    const run = await camelid("sft", "--model", tiny.model, "--data", data, "--out", out, "--threads", "1");
    expectOneClearError(run, { code, says, where: /rows\.jsonl/ });
    expect(existsSync(out)).toBe(false);
  });

  test("a folder instead of a file", async () => {
    const run = await camelid("sft", "--model", tiny.model, "--data", folder, "--out", out, "--threads", "1");
    expectOneClearError(run, { code: "ERR_FILE_MISSING", says: /folder/ });
    expect(existsSync(out)).toBe(false);
  });

  test("all answers lost to maxSeqLen", async () => {
    const words = [
      "--model",
      tiny.model,
      "--data",
      tiny.data,
      "--out",
      out,
      "--threads",
      "1",
      "--max-seq-len",
      "8",
    ];
    const run = await camelid("sft", ...words);
    expectOneClearError(run, {
      code: "ERR_ANSWERS_LOST",
      says: /maxSeqLen 8 cuts away every answer of 40 of 40 rows/,
      where: /rows\.jsonl/,
    });
    expect(existsSync(out)).toBe(false);
  });

  test("too few rows for one step", async () => {
    const words = ["--model", tiny.model, "--data", tiny.data, "--out", out, "--micro-batch-size", "41"];
    const run = await camelid("sft", ...words, "--threads", "1");
    expectOneClearError(run, { code: "ERR_TOO_FEW_ROWS", says: /40 rows do not fill one step of 41/ });
    expect(existsSync(out)).toBe(false);
  });

  test("--on-bad skip leaves bad rows out, says how many, and trains on the rest", async () => {
    const data = join(folder, "rows.jsonl");
    writeFileSync(data, [good, "{", row(), row(assistant), row(user), good, ""].join("\n"));
    const words = ["--model", tiny.model, "--data", data, "--out", out, "--threads", "1", "--on-bad", "skip"];
    const run = await camelid("sft", ...words);
    expect(run.code, run.err).toBe(0);
    expect(run.err + run.out).toContain("4 rows are left out");
    expect(run.err + run.out).toContain("rows.jsonl line 2");
    const listed = readFileSync(join(out, "left-out.txt"), "utf8").trim().split("\n");
    expect(listed.map((line) => /line (\d+)/.exec(line)?.[1])).toEqual(["2", "3", "4", "5"]);
    expect(existsSync(join(out, "final", "model.safetensors"))).toBe(true);
  });
});

describe("logprobs and generate", () => {
  const generate = (prompts: string, ...words: string[]) =>
    camelid(
      "generate",
      "--model",
      tiny.model,
      "--prompts",
      prompts,
      "--out",
      out,
      "--threads",
      "1",
      ...words,
    );

  test.each<[string, string, string, RegExp]>([
    ["a broken line", '{"prompt": "a"}\n{"prompt": "b\n', "ERR_JSON", /not JSON/],
    ["a line without a prompt", '{"prompt": "a"}\n{"text": "b"}\n', "ERR_PROMPT_SHAPE", /not a prompt/],
    [
      "both kinds at once",
      '{"prompt": "a", "messages": [{"role":"user","content":"b"}]}\n',
      "ERR_PROMPT_SHAPE",
      /not a prompt|both/,
    ],
    ["an empty conversation", '{"messages": []}\n', "ERR_PROMPT_SHAPE", /not a prompt/],
    ["no prompts", "", "ERR_NO_ROWS", /no prompts/],
    [
      "a conversation that ends with an answer",
      `${good}\n`,
      "ERR_CHAT_ROLE_ORDER",
      /ends with role "assistant"/,
    ],
    [
      "a system message in the middle",
      `${row(user, { role: "system", content: "x" })}\n`,
      "ERR_CHAT_ROLE_ORDER",
      /system/,
    ],
    [
      "a prompt longer than the model's context",
      `{"prompt": "${"ab".repeat(600)}"}\n`,
      "ERR_PROMPT_TOO_LONG",
      /context 256/,
    ],
  ])("prompts with %s", async (_, text, code, says) => {
    const prompts = join(folder, "prompts.jsonl");
    writeFileSync(prompts, text);
    expectOneClearError(await generate(prompts), { code, says, where: /prompt/ });
    expect(existsSync(out)).toBe(false);
  });

  test("prompts that are not there", async () => {
    expectOneClearError(await generate(join(folder, "no.jsonl")), {
      code: "ERR_FILE_MISSING",
      says: /no such file/,
    });
  });

  test.each<[string, () => string, number, string, RegExp]>([
    ["in a folder that is not there", () => join(folder, "no", "out.jsonl"), 2, "ERR_OUT_FOLDER", /folder/],
    ["that is a folder", () => folder, 2, "ERR_OUT_NOT_FILE", /is a folder/],
    ["that is the input", () => join(folder, "in.jsonl"), 2, "ERR_OUT_IS_INPUT", /input/],
    ["in a place that cannot be written", () => "/sys/out.jsonl", 1, "ERR_NOT_WRITABLE", /cannot be written/],
  ])("an output %s is told before the model is loaded", async (_, path, exit, code, says) => {
    const data = join(folder, "in.jsonl");
    for (const [command, flag, text] of [
      ["logprobs", "--data", good],
      ["generate", "--prompts", '{"prompt":"a"}'],
      ["inspect", "--data", good],
    ] as const) {
      writeFileSync(data, text);
      const words = ["--model", join(root, "no-model"), flag, data, "--out", path()];
      expectOneClearError(await camelid(command, ...words), { code, says, exit: exit as 1 | 2 });
      expect(readFileSync(data, "utf8")).toBe(text);
      expect(readdirSync(folder)).toEqual(["in.jsonl"]);
    }
  });
});
