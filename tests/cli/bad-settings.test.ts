/** Settings, flags, devices and output folders that cannot be honoured: one clear error, and nothing touched. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { builtCamelid, camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-bad-settings-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
let folder: string;
let out: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 8 });
});
beforeEach(() => {
  folder = mkdtempSync(join(root, "test-"));
  out = join(folder, "run");
});

const sft = (...words: string[]) => [
  ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", out, "--threads", "1"],
  ...words,
];

describe("settings", () => {
  test.each<[string, string[], string, RegExp]>([
    [
      "a flag that nobody knows",
      ["--lr", "1e-4"],
      "ERR_UNKNOWN_KEY",
      /--lr is not a flag.*|did you mean --learning-rate/,
    ],
    [
      "a setting that nobody knows",
      ["--set", "learningrat=1"],
      "ERR_UNKNOWN_KEY",
      /did you mean "learningRate"/,
    ],
    ["a setting of another command", ["--set", "beta=0.1"], "ERR_UNKNOWN_KEY", /beta/],
    ["a bare word", ["fast"], "ERR_UNEXPECTED_ARGUMENT", /"fast" was not expected/],
    [
      "a text for a number",
      ["--learning-rate", "fast"],
      "ERR_INVALID_VALUE",
      /learningRate: expected a number above 0, got "fast"/,
    ],
    ["a number below zero", ["--set", "learningRate=-1"], "ERR_INVALID_VALUE", /a number above 0/],
    ["a fraction of a row", ["--micro-batch-size", "1.5"], "ERR_INVALID_VALUE", /a whole number/],
    ["no steps", ["--max-steps", "0"], "ERR_INVALID_VALUE", /maxSteps/],
    ["a choice that is none", ["--precision", "fp64"], "ERR_INVALID_VALUE", /fp32, bf16 or bf16-mixed/],
    ["a preset that nobody knows", ["--preset", "tulu2-8b"], "ERR_UNKNOWN_PRESET", /tulu2-7b/],
    ["a settings file that is not there", ["--config", "/no/such.yaml"], "ERR_CONFIG_FILE", /cannot be read/],
    ["a device of a kind that nobody knows", ["--device", "tpu"], "ERR_INVALID_VALUE", /auto, cpu, cuda/],
    [
      "a device that is not there",
      ["--device", "cuda:63"],
      "ERR_DEVICE",
      /no device "cuda:63" here; libtorch sees cpu/,
    ],
    ["a model that is not there", ["--model", "/no/such/model"], "ERR_TOKENIZER_MISSING", /no such folder/],
  ])("%s", async (_, words, code, says) => {
    expectOneClearError(await camelid(...sft(...words)), { code, says });
    expect(existsSync(out)).toBe(false);
  });

  test.each<[string, string, RegExp]>([
    ["an unknown key", "seed: 1\nlearning_rate: 1e-5\n", /did you mean "learningRate"/],
    ["a key twice", "seed: 1\nseed: 2\n", /unique|twice/],
    ["broken YAML", "seed: [1\n", /not valid YAML/],
    ["a list", "- 1\n- 2\n", /no `key: value` pairs/],
    ["an alias that blows up", "a: &a [1,1]\nb: [*a,*a]\n", /aliases/],
    ["a tag that would build an object", "seed: !!js/function 'function () {}'\n", /not valid YAML|tag/],
  ])("a settings file with %s", async (_, text, says) => {
    const file = join(folder, "settings.yaml");
    writeFileSync(file, text);
    const run = await camelid(...sft("--config", file));
    expectOneClearError(run, {
      code: "ERR_(CONFIG_FILE|UNKNOWN_KEY|SETTINGS)",
      says,
      where: /settings\.yaml/,
    });
    expect(existsSync(out)).toBe(false);
  });

  test("every command says what is wrong with its flags", async () => {
    for (const [command, words] of [
      ["logprobs", ["--data", tiny.data]],
      ["generate", ["--prompts", tiny.data]],
    ] as const) {
      const places = ["--model", tiny.model, ...words, "--out", join(folder, "out.jsonl")];
      const run = await camelid(command, ...places, "--learning-rate", "1");
      expectOneClearError(run, {
        code: "ERR_UNKNOWN_KEY",
        says: /--learning-rate is not a flag of `camelid/,
      });
      expectOneClearError(await camelid(command), { code: "ERR_MISSING_VALUE", says: /things are wrong/ });
      const device = await camelid(command, ...places, "--device", "cuda:63");
      expectOneClearError(device, { code: "ERR_DEVICE", says: /no device/ });
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test("the built program ends with 2 and one clear error as well", async () => {
    const run = await builtCamelid(...sft("--learning-rat", "1"));
    expectOneClearError(run, { code: "ERR_UNKNOWN_KEY", says: /--learning-rate/ });
    expect(run.out).toBe("");
    const missing = await builtCamelid(...sft("--model", folder));
    expectOneClearError(missing, { code: "ERR_TOKENIZER_MISSING", says: /it holds nothing/ });
    expect(existsSync(out)).toBe(false);
  });
});

describe("the output folder", () => {
  const contents = () => readdirSync(out, { recursive: true, encoding: "utf8" }).sort();

  test("that holds another run stays as it is", async () => {
    expect((await camelid(...sft("--max-steps", "1"))).code).toBe(0);
    const [names, events] = [contents(), readFileSync(join(out, "events.jsonl"), "utf8")];
    expectOneClearError(await camelid(...sft()), { code: "ERR_RUN_EXISTS", says: /already holds a run/ });
    expect(contents()).toEqual(names);
    expect(readFileSync(join(out, "events.jsonl"), "utf8")).toBe(events);
  });

  test("that holds other files stays as it is", async () => {
    mkdirSync(out);
    writeFileSync(join(out, "thesis.txt"), "five years of work");
    const run = await camelid(...sft());
    expectOneClearError(run, { code: "ERR_OUT_NOT_EMPTY", says: /other files/, where: /thesis\.txt/ });
    expect(contents()).toEqual(["thesis.txt"]);
  });

  test("may be there and empty, and is left empty when the run fails before its first step", async () => {
    mkdirSync(out);
    const bad = join(folder, "bad.jsonl");
    writeFileSync(bad, "{\n");
    expect((await camelid(...sft("--data", bad))).code).toBe(2);
    expect(contents()).toEqual([]);
    expect((await camelid(...sft("--max-steps", "1"))).code).toBe(0);
  });

  test.each<[string, () => string, string, RegExp, 1 | 2]>([
    ["a file", () => file("file"), "ERR_OUT_NOT_FOLDER", /is a file/, 2],
    ["a path through a file", () => join(file("file"), "run"), "ERR_OUT_NOT_FOLDER", /leads through one/, 2],
    ["a place that takes no folders", () => "/proc/run", "ERR_NOT_WRITABLE", /cannot be written/, 1],
    ["a read-only system folder", () => "/sys/run", "ERR_NOT_WRITABLE", /cannot be written/, 1],
    ["a name that is too long", () => join(folder, "x".repeat(300)), "ERR_NOT_WRITABLE", /ENAMETOOLONG/, 1],
  ])("%s is refused", async (_, path, code, says, exit) => {
    expectOneClearError(errorOf(await camelid(...sft("--out", path()))), { code: `${code}\\w*`, says, exit });
  });

  test.skipIf(process.getuid?.() === 0)("in a folder that may not be written", async () => {
    chmodSync(folder, 0o500);
    const run = await camelid(...sft());
    chmodSync(folder, 0o700);
    expectOneClearError(errorOf(run), { code: "ERR_NOT_WRITABLE", says: /cannot be written/, exit: 1 });
  });

  function file(name: string): string {
    writeFileSync(join(folder, name), "x");
    return join(folder, name);
  }
});

/** Progress may have been shown before. */
function errorOf<T extends { err: string }>(run: T): T {
  return { ...run, err: run.err.slice(Math.max(0, run.err.search(/^\w+Error( \[|:)/m))) };
}

test("a command that fails holds no tensors afterwards", async () => {
  const before = torch.memoryStats().liveTensors;
  mkdirSync(out);
  expect((await camelid(...sft("--micro-batch-size", "99"))).code).toBe(2);
  expect((await camelid(...sft("--device", "cuda:63"))).code).toBe(2);
  expect(torch.memoryStats().liveTensors).toBe(before);
});
