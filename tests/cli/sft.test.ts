import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLineage, readRun, readTrainRows, rowsOfStep } from "camelid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { builtCamelid, builtProgram, camelid, parseJsonLines, readJsonLines } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-sft-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
let out: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
});
beforeEach(() => {
  out = join(mkdtempSync(join(root, "test-")), "run");
});

/** Words of a small run; later ones win where a setting is given twice. */
const sft = (...words: string[]) => [
  ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", out, "--threads", "1"],
  ...words,
];

type Line = Record<string, unknown> & { event: string; time: string };

describe("a run of the built command", () => {
  test("leaves settings, events, lineage, a model and a report; stdout holds nothing but JSON lines", async () => {
    const words = sft(
      "--micro-batch-size",
      "4",
      "--grad-accum-steps",
      "2",
      "--learning-rate",
      "1e-3",
      "--json",
    );
    const run = await builtCamelid(...words);
    expect(run.code, run.err).toBe(0);
    const progress = parseJsonLines<Record<string, unknown>>(run.out);
    expect(progress.at(-1)).toMatchObject({
      event: "progress",
      label: "sft",
      unit: "step",
      done: 5,
      total: 5,
    });
    expect(run.err).toContain("learningRate");
    expect(readdirSync(out).sort()).toEqual([
      "events.jsonl",
      "final",
      "lineage",
      "report.html",
      "settings.json",
    ]);

    const settings = JSON.parse(readFileSync(join(out, "settings.json"), "utf8"));
    expect(settings).toMatchObject({
      microBatchSize: 4,
      gradAccumSteps: 2,
      learningRate: 0.001,
      precision: "fp32",
    });
    expect(settings.$provenance).toMatchObject({ recipe: "sft", origins: { seed: { source: "default" } } });

    const events = readJsonLines<Line>(join(out, "events.jsonl"));
    for (const { time } of events) expect(new Date(time).toISOString()).toBe(time);
    expect(events[0]).toMatchObject({ event: "run-start", recipe: "sft", total_steps: 5 });
    const steps = events.filter(({ event }) => event === "step-end");
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    for (const step of steps) {
      for (const key of ["epoch", "loss", "lr", "grad_norm", "trained_tokens", "tokens_per_second"]) {
        expect(step[key], key).toBeTypeOf("number");
      }
      expect(step.loss).toBeGreaterThan(0);
      const sources = Object.entries(
        step.sources as Record<string, { loss: number; trained_tokens: number }>,
      );
      for (const [name] of sources) expect(["hills", "plains"]).toContain(name);
      const tokens = sources.reduce((sum, [, source]) => sum + source.trained_tokens, 0);
      expect(tokens).toBe(step.trained_tokens);
      const mean = sources.reduce((sum, [, source]) => sum + source.loss * source.trained_tokens, 0) / tokens;
      expect(mean).toBeCloseTo(step.loss as number, 10);
    }
    expect(steps.at(-1)).toMatchObject({ epoch: 1 });
    expect(events).toContainEqual(
      expect.objectContaining({ event: "checkpoint-saved", step: 5, path: "final" }),
    );
    expect(events.at(-1)).toMatchObject({ event: "run-end", status: "completed", step: 5 });

    const lineage = await readLineage(join(out, "lineage"));
    const order = { seed: 42, numRows: 40, rowsPerStep: 8 };
    expect([...lineage.rowsOfStep]).toEqual([1, 2, 3, 4, 5].map((step) => [step, rowsOfStep(step, order)]));

    using model = loadModel(join(out, "final"));
    expect(model.dtype).toBe("float32");
    expect((await loadTokenizer(join(out, "final"))).vocabSize).toBe(model.config.vocabSize);
    const report = readFileSync(join(out, "report.html"), "utf8");
    expect(report).toMatch(/^<!doctype html>/i);
    expect(report, "no network").not.toMatch(/(src|href)="https?:/);
  });

  test("shows plain lines on a pipe: settings, rows by source, arithmetic, progress, where things are", async () => {
    const run = await builtCamelid(...sft("--max-steps", "1", "--micro-batch-size", "2"));
    const shown = run.out + run.err;
    for (const text of [
      "camelid sft",
      "--max-steps",
      "hills",
      "plains",
      "2 rows x 1 micro-batches",
      "1/1 steps",
    ]) {
      expect(shown).toContain(text);
    }
    expect(shown).toContain(`model   ${join(out, "final")}`);
    for (const control of ["\u001b", "\r"]) expect(shown).not.toContain(control);
  });

  test("ends with 130 and a saved model within one step of Ctrl+C", async () => {
    // Steps of a few tenths of a second: long enough that another one would be seen.
    const words = sft(
      "--micro-batch-size",
      "1",
      "--grad-accum-steps",
      "40",
      "--packing",
      "false",
      "--max-steps",
      "500",
    );
    const child = spawn(process.execPath, [builtProgram, ...words]);
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    const stepsDone = () =>
      existsSync(join(out, "events.jsonl"))
        ? readFileSync(join(out, "events.jsonl"), "utf8").split('"step-end"').length - 1
        : 0;
    while (stepsDone() < 2 && child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 10));
    const before = stepsDone();
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(said).toContain("Stopping after this step and saving.");
    const record = await readRun(out);
    expect(record.status).toBe("interrupted");
    // One step was on its way; reading the file and sending the signal may have taken as long as another.
    expect(record.steps.length).toBeLessThanOrEqual(before + 2);
    const [saved] = record.events.filter(({ event }) => event === "checkpoint-saved").slice(-1);
    expect(saved).toMatchObject({ step: record.steps.at(-1)!.step });
    using model = loadModel(join(out, (saved as { path: string }).path));
    expect(model.namedParameters().size).toBeGreaterThan(0);
    expect(existsSync(join(out, "report.html"))).toBe(true);
  });

  test("trains on what the model's folder says, whatever the data's order of keys or line ends", async () => {
    const shuffled = join(root, "shuffled.jsonl");
    const rows = readJsonLines<{ dataset: string; id: string; messages: object[] }>(tiny.data);
    const lines = rows.map(({ dataset, id, messages }) => JSON.stringify({ messages, note: 1, id, dataset }));
    writeFileSync(shuffled, lines.join("\r\n"));
    const tokenizer = await loadTokenizer(tiny.model);
    const read = (file: string) => readTrainRows(file, tokenizer, { onBad: "error" });
    expect((await read(shuffled)).rows).toEqual((await read(tiny.data)).rows);
  });
});

describe("settings", () => {
  const printed = async (...words: string[]) => {
    const { code, out: text, err } = await camelid(...sft("--print-settings", "--json", ...words));
    expect(code, err).toBe(0);
    const { settings, origins } = JSON.parse(text);
    return { settings, origins };
  };

  test.each([
    ["config.json", '{"learningRate": 0.5, "epochs": 3, "seed": 7, "betas": [0.8, 0.9]}'],
    ["config.yaml", "learningRate: 0.5\nepochs: 3\nseed: 7\nbetas: [0.8, 0.9]\n"],
  ])("a flag beats --set, --set beats %s, the file beats the preset", async (name, text) => {
    const file = join(root, name);
    writeFileSync(file, text);
    const layers = [
      "--preset",
      "tulu2-7b",
      "--config",
      file,
      "--set",
      "epochs=4",
      "--set",
      "seed=8",
      "--seed",
      "9",
    ];
    const { settings, origins } = await printed(...layers);
    expect(settings).toMatchObject({
      learningRate: 0.5,
      betas: [0.8, 0.9],
      epochs: 4,
      seed: 9,
      maxSeqLen: 8192,
    });
    expect(origins).toMatchObject({
      learningRate: { source: "file", detail: expect.stringContaining(name) },
      epochs: { source: "set" },
      seed: { source: "flag", detail: "--seed" },
      maxSeqLen: { source: "preset", detail: "tulu2-7b" },
      model: { source: "flag", detail: "--model" },
    });
  });

  test("a run's settings.json, given to --config, trains the same model", async () => {
    const words = ["--micro-batch-size", "4", "--learning-rate", "1e-3", "--max-steps", "3", "--seed", "5"];
    expect((await camelid(...sft(...words))).code).toBe(0);
    const again = join(root, "again");
    expect((await camelid("sft", "--config", join(out, "settings.json"), "--out", again)).code).toBe(0);
    expect(weightBytes(again).equals(weightBytes(out))).toBe(true);
  });

  test.each([
    ["fp32", "float32"],
    ["bf16", "bfloat16"],
    ["bf16-mixed", "bfloat16"],
  ])("%s trains, lowers the loss and saves %s", async (precision, dtype) => {
    const words = [
      "--precision",
      precision,
      "--micro-batch-size",
      "8",
      "--learning-rate",
      "3e-3",
      "--epochs",
      "6",
    ];
    const run = await camelid(...sft(...words));
    expect(run.code, run.err).toBe(0);
    const { steps } = await readRun(out);
    expect(steps.at(-1)!.loss).toBeLessThan(steps[0]!.loss - 1);
    expect(JSON.parse(readFileSync(join(out, "final", "config.json"), "utf8")).torch_dtype).toBe(dtype);
    using model = loadModel(join(out, "final"));
    expect(model.dtype).toBe(dtype);
  });

  test("bf16-mixed keeps updates that bf16 alone rounds away", async () => {
    const changed: Record<string, number> = {};
    for (const precision of ["bf16", "bf16-mixed"]) {
      const run = join(root, `small-updates-${precision}`);
      const words = [
        "--precision",
        precision,
        "--learning-rate",
        "2e-6",
        "--epochs",
        "10",
        "--schedule",
        "constant",
      ];
      const { code } = await camelid(...sft("--out", run, "--micro-batch-size", "40", ...words));
      expect(code).toBe(0);
      using before = loadModel(tiny.model, { dtype: "bfloat16" });
      using after = loadModel(join(run, "final"));
      changed[precision] = 0;
      for (const [name, weight] of after.namedParameters()) {
        using difference = weight.ne(before.namedParameters().get(name)!);
        using count = difference.sum();
        changed[precision] += Number(count.item());
      }
    }
    expect(changed["bf16-mixed"]!).toBeGreaterThan(2 * changed.bf16!);
  });
});

describe("the trained model is the base", () => {
  test("in another place: config, tokenizer and template go along", async () => {
    const base = join(root, "with-template");
    cpSync(tiny.model, base, { recursive: true });
    writeFileSync(
      join(base, "chat_template.jinja"),
      "{{ bos_token }}{% for m in messages %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}",
    );
    const { code, err } = await camelid(...sft("--model", base, "--max-steps", "1"));
    expect(code, err).toBe(0);
    for (const name of ["tokenizer.json", "chat_template.jinja"]) {
      expect(readFileSync(join(out, "final", name)).equals(readFileSync(join(base, name)))).toBe(true);
    }
    const config = (folder: string) => JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    expect(config(join(out, "final"))).toEqual(config(base));
  });
});

function weightBytes(run: string): Buffer {
  return readFileSync(join(run, "final", "model.safetensors"));
}
