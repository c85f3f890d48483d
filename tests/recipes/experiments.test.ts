/** The paper's experiments: plans that share and redo what they should, tables that say what the evaluations say. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareResults, type Experiment, planExperiment, readMetrics } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openHouseJudge } from "../../packages/camelid/src/cli/experiment/house-judge.js";
import { changes } from "../../packages/camelid/src/cli/experiment/stage-settings.js";
import { averagesOf } from "../../packages/camelid/src/eval/published.js";
import { taskNames } from "../../packages/camelid/src/eval/registry.js";
import { experiment as code } from "../../recipes/experiments/code.js";
import { experiment as languages } from "../../recipes/experiments/languages.js";
import { experiment as length } from "../../recipes/experiments/length.js";
import { experiment as mixes } from "../../recipes/experiments/mixes.js";
import { experiment as preferences } from "../../recipes/experiments/preferences.js";
import { experiment as qlora } from "../../recipes/experiments/qlora.js";
import { camelid, expectOneClearError } from "../cli/camelid.js";
import { writeJudgedData } from "../eval/judged-data.js";
import { writeSampleData } from "../eval/sample-data.js";
import { writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-experiments-"));
afterAll(() => rmSync(root, { recursive: true }));

const ALL: readonly Experiment[] = [code, languages, length, mixes, preferences, qlora];
const GIVEN = Object.fromEntries(
  ["base", "codeBase", "sources", "pairs"].map((name) => [name, { path: `/${name}`, key: name }]),
);

function plan(
  experiment: Experiment,
  { of, ...set }: Record<string, unknown> = {},
  given: typeof GIVEN = GIVEN,
) {
  return planExperiment(experiment, {
    ...{ out: "/out", given, tokenizer: given.base ?? { path: "/base", key: "base" }, evalData: "" },
    settingsOf: (does, stage) => ({
      does,
      ...("does" in stage && "preset" in stage ? { preset: stage.preset } : {}),
      ...(does === of ? set : {}),
    }),
  });
}

describe.each(ALL.map((one) => [one.name, one] as const))("%s", (_name, experiment) => {
  test("is consistent: stages, rows, tasks and comparisons name what there is", () => {
    const inputs = new Set([...Object.keys(GIVEN), ...Object.keys(experiment.stages)]);
    for (const stage of Object.values(experiment.stages))
      if (stage.does !== "mix")
        expect([...inputs]).toEqual(expect.arrayContaining([stage.model, stage.data]));
    for (const { model } of experiment.rows) expect(inputs).toContain(model);
    const rows = experiment.rows.map(({ name }) => name);
    for (const pair of experiment.compare) expect(rows).toEqual(expect.arrayContaining([...pair]));
    expect(taskNames()).toEqual(expect.arrayContaining(experiment.columns.map(({ task }) => task)));
    const columns = experiment.columns.map(({ name }) => name);
    for (const { name, values } of [
      ...experiment.published.lines,
      ...(experiment.published.differences ?? []),
    ]) {
      expect(columns, name).toEqual(expect.arrayContaining(Object.keys(values)));
      for (const value of Object.values(values)) expect(Number.isFinite(value)).toBe(true);
    }
  });

  test("plans each run after what it needs", () => {
    const stages = plan(experiment);
    const results = stages.flatMap(({ does, folder }) => (does === "eval" ? [] : [folder]));
    for (const [i, stage] of stages.entries()) {
      const needs =
        stage.does === "mix" ? [] : stage.does === "eval" ? [stage.model] : [stage.model, stage.data];
      for (const path of needs.filter((one) => one.startsWith("/out")))
        expect(
          results.slice(0, i).some((folder) => path.startsWith(`${folder}/`)),
          path,
        ).toBe(true);
    }
  });
});

test("experiments of one folder share what they have in common", () => {
  const folder = (experiment: Experiment) => plan(experiment).find(({ name }) => name === "sft-v2")!.folder;
  expect(new Set(ALL.map(folder)).size).toBe(1);
});

test("another setting makes other runs of what depends on it, and of nothing else", () => {
  const folders = (set: Record<string, unknown>) =>
    plan(preferences, set).map(({ name, folder }) => [name, folder]);
  const before = folders({});
  const redone = (set: Record<string, unknown>) =>
    folders(set).flatMap(([name, folder], i) => (folder === before[i]![1] ? [] : [name]));
  expect(redone({ of: "dpo", beta: 0.5 })).toEqual(["dpo-v2", "SFT+DPO"]);
  expect(redone({ of: "sft", epochs: 3 })).toEqual(["sft-v2", "dpo-v2", "SFT", "SFT+DPO"]);
  expect(redone({ of: "eval", limit: 3 })).toEqual(["SFT", "SFT+DPO"]);
  expect(redone({ of: "sft", threads: 3 }), "where it is computed does not matter").toEqual([]);
});

test("a mixture that is given takes the place of its stage; what nobody gave is asked for by flag", () => {
  const { sources: _, ...others } = GIVEN;
  const stages = plan(preferences, {}, { ...others, v2: { path: "/mine.jsonl", key: "mine" } });
  expect(stages.map(({ name }) => name)).toEqual(["sft-v2", "dpo-v2", "SFT", "SFT+DPO"]);
  expect(() => plan(code, {}, { base: GIVEN.base! })).toThrow(
    expect.objectContaining({
      code: "ERR_EXPERIMENT_INPUT",
      fix: expect.stringMatching(/--code-base.*--sources/),
    }),
  );
});

test("an experiment's own settings beat the preset", () => {
  const stage = { ...mixes.stages["sft-v1"]!, settings: { epochs: 7 } };
  expect(stage.does === "sft" && changes(stage)).toMatchObject([{ source: "file", values: { epochs: 7 } }]);
});

test("the differences of table 3 are those of table 1's rows, as far as the paper agrees with itself", () => {
  const { lines, differences } = preferences.published;
  for (const [i, { name, values, average }] of differences!.entries()) {
    const [before, after] = [lines[2 * i]!, lines[2 * i + 1]!];
    for (const [column, difference] of Object.entries(values))
      expect(after.values[column]! - before.values[column]!, `${name} ${column}`).toBeCloseTo(difference!, 0);
    expect(after.average! - before.average!).toBeCloseTo(average!, 0);
  }
});

const SMALL = "documents=160 rows=160 pairs=32 items=6"
  .split(" ")
  .flatMap((one) => ["--set", `miniature.${one}`]);
const out = join(root, "out");
const run = (...words: string[]) =>
  camelid("experiment", ...words, "--out", out, "--threads", "1", "--set", "preflight=false", ...SMALL);

interface Table {
  rows: {
    name: string;
    folder: string;
    cells: Record<string, { value: number; interval: number[] }>;
    average?: { value: number };
  }[];
  differences: {
    first: string;
    second: string;
    cells: Record<string, { difference: number; interval: number[]; items: number }>;
  }[];
  published: { note: string; lines: unknown[] };
  remark: string;
}

describe("in miniature, from nothing to a table", () => {
  let text: string;
  let table: Table;
  const stagesIn = () =>
    readdirSync(join(out, "stages"))
      .filter((name) => !name.endsWith(".json"))
      .sort();
  beforeAll(async () => {
    const { code: exit, out: said, err } = await run("preferences");
    expect(err).not.toMatch(/Error \[/);
    expect(exit).toBe(0);
    text = said;
    table = JSON.parse(readFileSync(join(out, "preferences/table.json"), "utf8"));
  }, 120_000);

  test("the table has every column for every row, the paper's average, and its rows marked as published", () => {
    expect(table.rows.map(({ name }) => name)).toEqual(["SFT", "SFT+DPO"]);
    for (const { folder, cells, average } of table.rows) {
      const { tasks } = readMetrics(folder);
      for (const { name, task } of preferences.columns)
        expect(cells[name]!.value).toBeCloseTo(tasks[task]!.score!, 9);
      const scores = Object.fromEntries(preferences.columns.map(({ task }) => [task, tasks[task]!.score!]));
      expect(average!.value).toBeCloseTo(averagesOf(scores).seven!, 9);
    }
    expect(table.published).toMatchObject({ note: expect.stringContaining("not of this experiment") });
    expect(table.remark).toMatch(/say nothing about real models/);
  });

  test("differences are those of `camelid compare`, item by item", async () => {
    const [{ cells }] = table.differences as [Table["differences"][number]];
    const compared = await compareResults(table.rows[0]!.folder, table.rows[1]!.folder);
    for (const { name, task } of preferences.columns) {
      const one = compared.tasks.find(({ key }) => key === task)!;
      expect(cells[name]).toMatchObject({
        difference: one.difference,
        interval: one.interval,
        items: one.items,
      });
    }
  });

  test("the text fits a terminal; the page says what is published and that it is a miniature", () => {
    const shown = readFileSync(join(out, "preferences/table.txt"), "utf8");
    expect(text).toContain(shown);
    for (const line of shown.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(shown).toMatch(/As published \(tables 1 and 3/);
    const page = readFileSync(join(out, "preferences/report.html"), "utf8");
    expect(page).toContain("say nothing about real models");
    expect(page.match(/<small title="[^"]*">published/g)).toHaveLength(preferences.published.lines.length);
  });

  test("called again nothing is trained; another beta trains DPO alone; another experiment takes what is there", async () => {
    const made = stagesIn();
    const times = () =>
      made.map(
        (name) => statSync(join(out, "stages", name, "events.jsonl"), { throwIfNoEntry: false })?.mtimeMs,
      );
    const before = times();
    expect((await run("preferences")).out).toMatch(/dpo dpo-v2: is there/);
    expect(times()).toEqual(before);
    expect((await run("preferences", "--set", "dpo.beta=0.5")).code).toBe(0);
    expect(stagesIn().filter((name) => !made.includes(name))).toEqual([expect.stringMatching(/^dpo-v2-/)]);
    const { out: said, code: exit } = await run("length");
    expect(exit).toBe(0);
    expect(said).toMatch(/sft sft-v2: is there/);
    const { rows } = JSON.parse(readFileSync(join(out, "length/table.json"), "utf8")) as Table;
    for (const { cells, folder } of rows)
      expect(cells.length!.value).toBeCloseTo(
        readMetrics(folder).tasks["alpaca-eval"]!.metrics!["mean length in characters"]!,
        9,
      );
  }, 120_000);

  test("a run that died goes on where it was, to the same bytes", async () => {
    const sft = stagesIn().find((name) => name.startsWith("sft-v2-"))!;
    const folder = join(out, "stages", sft);
    const final = readFileSync(join(folder, "final/model.safetensors"));
    // As after a crash before the first checkpoint: the beginning of its events, no end, no record that it is finished.
    const events = readFileSync(join(folder, "events.jsonl"), "utf8").split("\n");
    writeFileSync(join(folder, "events.jsonl"), `${events.slice(0, 3).join("\n")}\n`);
    rmSync(join(folder, "final"), { recursive: true });
    rmSync(`${folder}.json`);
    expect((await run("preferences")).out).toMatch(/dpo dpo-v2: is there/);
    expect(existsSync(`${folder}.json`)).toBe(true);
    expect(readFileSync(join(folder, "final/model.safetensors")).equals(final)).toBe(true);
  }, 120_000);
});

test("with a base of one's own: missing judges and files are told before anything is made, then two steps of the paper's presets", async () => {
  const tiny = await writeTinyModel(join(root, "tiny"), { rows: 130 });
  const data = writeJudgedData(writeSampleData(join(root, "data")));
  const own = join(root, "own");
  const words = [
    ...[
      "experiment",
      "length",
      "--base",
      tiny.model,
      "--data",
      `v2=${tiny.data}`,
      "--pairs",
      pairsOf(tiny.data),
    ],
    ...[
      "--out",
      own,
      "--threads",
      "1",
      "--set",
      "maxSteps=1",
      "--set",
      "precision=fp32",
      "--set",
      "preflight=false",
    ],
    ...["--set", "maxSeqLen=128", "--set", "eval.limit=1", "--set", "device=cpu", "--set", "eval.device=cpu"],
    ...["--options", "alpaca-eval.maxNewTokens=8"],
  ];
  await using judge = await openHouseJudge([]); // it knows no question here: nothing gets a verdict
  const judged = ["--judges", `judge=${judge.url}#nobody`];
  expectOneClearError(await camelid(...words, "--eval-data", data), {
    code: "ERR_EVAL_JUDGE",
    says: /MT-Bench needs/,
  });
  const empty = await camelid(...words, ...judged, "--eval-data", join(root, "nowhere"));
  expectOneClearError(empty, { code: "ERR_EVAL_DATA_MISSING", says: /mt_bench/ });
  expect(existsSync(own)).toBe(false);

  const outcome = await camelid(...words, ...judged, "--eval-data", data);
  expect(outcome).toMatchObject({ code: 0, out: expect.stringMatching(/^SFT +- +- +-$/m) });
  const settings = (stage: string) =>
    JSON.parse(readFileSync(join(own, "stages", stage, "settings.json"), "utf8"));
  const [dpoRun, sftRun] = readdirSync(join(own, "stages"))
    .filter((name) => !name.endsWith(".json"))
    .sort();
  expect(settings(sftRun!)).toMatchObject({ learningRate: 2e-5, gradAccumSteps: 128, epochs: 2 }); // tulu2-7b
  expect(settings(dpoRun!)).toMatchObject({ learningRate: 5e-7, beta: 0.1, gradAccumSteps: 32 }); // tulu2-dpo-7b
}, 120_000);

function pairsOf(rows: string): string {
  const file = join(root, "pairs.jsonl");
  const lines = readFileSync(rows, "utf8")
    .trim()
    .split("\n")
    .slice(0, 40)
    .map((line) => {
      const [user, assistant] = JSON.parse(line).messages;
      return JSON.stringify({
        chosen: [user, assistant],
        rejected: [user, { role: "assistant", content: "no." }],
      });
    });
  writeFileSync(file, lines.join("\n"));
  return file;
}

test("what is wrong with the command is one clear error, and nothing is made", async () => {
  const nothing = join(root, "nothing");
  const cases: [words: string[], code: string, says: RegExp][] = [
    [["mixs"], "ERR_EXPERIMENT", /no experiment "mixs"/],
    [["mixes", "--base", join(root, "no-model")], "ERR_MODEL_FOLDER", /./],
    [["mixes", "--set", "learnignRate=1"], "ERR_UNKNOWN_KEY", /no stage knows "learnignRate"/],
    [["mixes", "--data", "v2"], "ERR_EXPERIMENT_INPUT", /which mixture/],
  ];
  for (const [words, error, says] of cases) {
    const outcome = await camelid("experiment", ...words, "--out", nothing, ...SMALL);
    if (error === "ERR_MODEL_FOLDER") expect(outcome.code).not.toBe(0);
    else expectOneClearError(outcome, { code: error, says });
    expect(existsSync(join(nothing, "stages"))).toBe(false);
  }
  const { out: listed } = await camelid("experiment");
  for (const { name } of ALL) expect(listed).toContain(name);
}, 60_000);
