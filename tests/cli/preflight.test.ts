/** Preflight as people meet it: before the first step of `camelid sft`, and in `camelid doctor`. */
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CheckSection } from "../../packages/camelid/src/run/checks.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError, readJsonLines } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-preflight-cli-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Answers end in a line feed instead of a terminator: the model would never learn to stop. */
const WITHOUT_END =
  "{{ bos_token }}{% for m in messages %}{{ m.role + ':\n' + m.content + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}";
/** BOS before every message. */
const TWO_BOS =
  "{% for m in messages %}{{ bos_token + m.role + ':\n' + m.content + eos_token }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ bos_token + 'assistant:\n' }}{% endif %}";

let tiny: TinyModel;
let model: string;
let out: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
});
beforeEach(() => {
  const folder = mkdtempSync(join(root, "test-"));
  model = join(folder, "model");
  out = join(folder, "run");
  cpSync(tiny.model, model, { recursive: true });
});

const useTemplate = (text: string) => writeFileSync(join(model, "chat_template.jinja"), text);
const sft = (...words: string[]) =>
  camelid("sft", "--model", model, "--data", tiny.data, "--out", out, "--threads", "1", ...words);
const doctor = (...words: string[]) => camelid("doctor", "--threads", "1", ...words);

async function doctorChecks(...words: string[]) {
  const run = await doctor("--json", ...words);
  const { sections } = JSON.parse(run.out) as { sections: CheckSection[] };
  return { ...run, sections, preflight: sections.find(({ heading }) => heading === "Preflight")?.checks };
}

interface Line {
  event: string;
  code?: string;
  message?: string;
  loss?: number;
  grad_norm?: number;
}

describe("camelid sft", () => {
  test("shows the table before its first step; what is remarkable is in the run's record", async () => {
    const run = await sft("--max-steps", "2");
    expect(run.code, run.err).toBe(0);
    expect(run.err).toMatch(/^Preflight\n {2}ok {4}trained share +of all tokens: hills \d+%/m);
    expect(run.err).toMatch(/ok {4}turn end .*every answer ends with <\/s>/);
    expect(run.err).toMatch(/ok {4}schedule .*linear, first 0, peak 2e-5 at step 2, /);
    for (const name of ["packed = alone", "neighbours", "split"])
      expect(run.err).toMatch(new RegExp(`ok {4}${name} `));
    const warnings = readJsonLines<Line>(join(out, "events.jsonl")).filter(
      ({ event }) => event === "warning-raised",
    );
    expect(warnings).toMatchObject([
      { code: "PREFLIGHT_INITIAL_LOSS", message: expect.stringContaining("the weights seem random") },
    ]);
  });

  test.each([
    ["every weight is trained", []],
    ["adapters with dropout are", ["--lora-rank", "4", "--lora-dropout", "0.2"]],
  ])("changes nothing when %s: losses and gradients are the same, to the bit", async (_, words) => {
    const steps = async (preflight: string) => {
      const run = await sft("--max-steps", "3", "--preflight", preflight, ...words);
      expect(run.err.includes("Preflight\n")).toBe(preflight === "true");
      const lines = readJsonLines<Line>(join(out, "events.jsonl")).filter(
        ({ event }) => event === "step-end",
      );
      rmSync(out, { recursive: true });
      return lines.map(({ loss, grad_norm }) => ({ loss, grad_norm }));
    };
    const [off, on] = [await steps("false"), await steps("true")];
    expect(on).toHaveLength(3);
    expect(on).toEqual(off);
  });

  test.each([
    ["a template without terminators", WITHOUT_END, /turn end: \d+ answers end without a special token/],
    ["a template with a BOS before every message", TWO_BOS, /BOS: not true in \d+ rows.*\d BOS tokens/],
  ])("%s stops it with exit code 2, before anything is written", async (_, template, where) => {
    useTemplate(template);
    const run = await sft();
    expectOneClearError(
      { ...run, err: run.err.slice(run.err.indexOf("DataError")) },
      { code: "ERR_PREFLIGHT", says: /preflight checks failed; nothing was written/, where },
    );
    expect(existsSync(out)).toBe(false);
  });

  test("trains all the same when preflight is switched off", async () => {
    useTemplate(WITHOUT_END);
    expect((await sft("--max-steps", "1", "--preflight", "false")).code).toBe(0);
  });
});

describe("camelid doctor", () => {
  test("without a model it looks at machine and engine only", async () => {
    const run = await camelid("doctor", "--json");
    const { sections } = JSON.parse(run.out) as { sections: CheckSection[] };
    expect(sections.map(({ heading }) => heading)).toEqual(["System", "Engine"]);
  });

  test("with model and data it shows all three in 80 columns and exits with 0", async () => {
    const run = await doctor("--model", model, "--data", tiny.data);
    expect(run.code, run.err + run.out).toBe(0);
    for (const heading of ["System", "Engine", "Preflight"])
      expect(run.out).toMatch(new RegExp(`^${heading}$`, "m"));
    for (const line of run.out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(existsSync(out)).toBe(false);
  });

  test("a failed check makes exit code 1 and says what to do", async () => {
    useTemplate(WITHOUT_END);
    const { code, preflight } = await doctorChecks("--model", model, "--data", tiny.data);
    expect(code).toBe(1);
    expect(preflight!.filter(({ status }) => status === "fail")).toMatchObject([
      { name: "turn end", fix: expect.stringContaining("terminator") },
    ]);
  });

  test("adapters are checked as a run would train them", async () => {
    const words = ["--model", model, "--data", tiny.data, "--set", "lora.targetModules=v_proj"];
    const { code, preflight } = await doctorChecks(...words);
    expect(code).toBe(0);
    expect(preflight!.find(({ name }) => name === "split")).toMatchObject({ status: "ok" });
  });

  test("settings come as flags, by --set and from a run's own settings.json", async () => {
    const places = ["--model", model, "--data", tiny.data];
    const checks = async (...words: string[]) => (await doctorChecks(...places, ...words)).preflight!;
    const detail = async (name: string, ...words: string[]) =>
      (await checks(...words)).find((check) => check.name === name)!.detail;
    expect(await detail("length", "--max-seq-len", "40")).toMatch(/rows are cut at 40 tokens/);
    expect(await detail("length", "--set", "maxSeqLen=40")).toMatch(/rows are cut at 40 tokens/);
    expect((await sft("--max-steps", "7", "--preflight", "false")).code).toBe(0);
    expect(await detail("schedule", "--config", join(out, "settings.json"))).toContain("at step 7");
  });

  test("rows that cannot be read are a failed check, a wrong word is one clear error", async () => {
    writeFileSync(join(root, "broken.jsonl"), "{\n");
    const broken = await doctorChecks("--model", model, "--data", join(root, "broken.jsonl"));
    expect(broken.code).toBe(1);
    expect(broken.preflight).toMatchObject([
      { name: "data", status: "fail", detail: expect.stringContaining("broken.jsonl line 1") },
    ]);
    const run = await doctor("--model", model);
    expectOneClearError(run, { code: "ERR_\\w+", says: /data/ });
  });
});
