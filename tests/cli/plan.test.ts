/** `camelid plan` as a user meets it: tables that fit a terminal, figures of a file, and what cannot be. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-cli-plan-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
const figures = join(root, "speed.json");
const figure = (size: string, parameters: number, shareOfPeak: number) => ({
  ...{ size, parameters, shareOfPeak, tokens: 8192, tokensPerSecond: 1, recompute: false },
  batch: "other fields are passed over",
});
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
  const results = [
    figure("7b", 6.7e9, 0.5),
    figure("tiny", 40_000, 0.25),
    { size: "1b", error: "no memory" },
  ];
  writeFileSync(figures, JSON.stringify({ gpu: "NVIDIA H100 80GB HBM3", peakFlops: 8e14, results }));
});

const plan = (...words: string[]) => camelid("plan", "--model", tiny.model, ...words);

test("several numbers of devices make a table of 80 columns, with costs", async () => {
  const { code, out, err } = await plan("--on", "h100", "--devices", "1,8,16", "--price", "2.5");
  expect(code, err).toBe(0);
  // The first line names the model, however long its path is.
  const lines = out.split("\n").slice(1);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  const rows = lines.filter((line) => /^ +\d+ {2}/.test(line));
  expect(rows.map((line) => Number(line.slice(0, 7)))).toEqual([1, 8, 16]);
  expect(out).toMatch(/smallest +1 device: .*, [\d.,]+$/m);
});

test("--json has what the text is made of", async () => {
  const { code, out, err } = await plan("--on", "h100", "--devices", "16", "--network-gbps", "80", "--json");
  expect(code, err).toBe(0);
  const { plan: made } = JSON.parse(out);
  expect(made).toMatchObject({ devices: 16, topology: { devicesPerNode: 8, networkBytes: 10e9 } });
  const { weights, optimizer, activations, gradients, peak } = made.memory;
  // Gradients come as activations go, so that the most of both is never there at once.
  expect(peak).toBeLessThan(weights + optimizer + activations + gradients);
  expect(peak).toBeGreaterThan(weights + optimizer + Math.max(activations, gradients));
  const { compute, update, exposed, total } = made.step;
  expect(total).toBeCloseTo(compute + update + exposed, 12);
});

test("a reference takes time before the first step, where the loss has one", async () => {
  const before = async (...words: string[]): Promise<number> =>
    JSON.parse((await plan("--recipe", "dpo", "--on", "h100", "--json", ...words)).out).plan.before;
  expect(await before()).toBeGreaterThan(0);
  expect(await before("--set", "lossType=simpo")).toBe(0);
});

test("rates come from a file of measured figures, from the model nearest in size", async () => {
  const { code, out, err } = await plan("--on", "h100", "--measured", figures);
  expect(code, err).toBe(0);
  expect(out).toMatch(/at the 200 TFLOP\/s measured on tiny \(full\)/);
});

describe("what cannot be is an error before anything is measured", () => {
  test.each([
    ["ERR_PLAN_TOPOLOGY", /12 devices do not fill nodes of 8/, ["--on", "h100", "--devices", "12"]],
    ["ERR_PLAN_TOPOLOGY", /2.5 is not a number of devices/, ["--on", "h100", "--devices", "2.5"]],
    ["ERR_INVALID_VALUE", /--devices is "x"/, ["--on", "h100", "--devices", "8,x"]],
    ["ERR_PLAN_HARDWARE", /"h1000" is not known/, ["--on", "h1000"]],
    [
      "ERR_PLAN_SHARD",
      /64 devices and 21 trained parameters/,
      ["--on", "h100", "--devices", "64", "--set", "shard=gradients"],
    ],
    [
      "ERR_PLAN_SHARD",
      /4-bit weights in parts/,
      [
        ...["--on", "h100", "--devices", "2", "--set", "shard=parameters"],
        ...["--set", "lora.rank=4", "--set", "quantize.type=nf4"],
      ],
    ],
    ["ERR_PLAN_OFFLOAD", /activationOffload/, ["--on", "h100", "--set", "activationOffload=true"]],
    ["ERR_USAGE", /"kto" cannot be planned/, ["--recipe", "kto"]],
    ["ERR_INVALID_VALUE", /--share is "40"/, ["--on", "h100", "--share", "40"]],
    ["ERR_PLAN_RATE", /there is no share to assume/, ["--share", "0.4"]],
    ["ERR_PLAN_RATE", /were both given/, ["--on", "h100", "--share", "0.4", "--measured", figures]],
    ["ERR_PLAN_MEASURED", /there is no such file/, ["--on", "h100", "--measured", "nowhere.json"]],
    ["ERR_PLAN_MEASURED", /measured on NVIDIA H100 80GB/, ["--on", "a100-80gb", "--measured", figures]],
    ["ERR_PLAN_MEASURED", /say nothing about this machine/, ["--measured", figures]],
  ] as const)("%s: %s", async (code, says, words) => {
    expectOneClearError(await plan(...words), { code, says });
  });
});
