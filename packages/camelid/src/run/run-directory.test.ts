import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { StepEnd } from "./events.js";
import { readLineage, stepsOfRow } from "./lineage.js";
import { readEvents, readRun } from "./read-run.js";
import { checkOutputFolder, openRun, readRunSettings } from "./run-directory.js";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "camelid-run-")), "run");
});

const options = {
  recipe: "sft",
  settings: { out: "x", lora: { rank: 4 } },
  origins: { out: { source: "flag", detail: "--out" } },
};
const stepEnd = (step: number, loss = 1): Omit<StepEnd, "time"> => ({
  event: "step-end",
  step,
  epoch: step / 10,
  loss,
  lr: 1e-5,
  grad_norm: 0.5,
  trained_tokens: 100,
  tokens_per_second: 1000,
});

describe("a new run", () => {
  test("settings.json holds the settings as they are, and their origins as a note", () => {
    using _run = openRun(folder, options);
    const written = JSON.parse(readFileSync(join(folder, "settings.json"), "utf8"));
    expect(written).toEqual({
      ...options.settings,
      $provenance: { recipe: "sft", origins: options.origins },
    });
    expect(readRunSettings(folder).settings).toEqual(options.settings);
  });

  test("an empty folder is accepted", () => {
    mkdirSync(folder);
    openRun(folder, options)[Symbol.dispose]();
  });

  test("a folder that holds a run is refused, and nothing in it changes", () => {
    {
      using run = openRun(folder, options);
      run.log(stepEnd(1));
      run.end("completed");
    }
    const before = readFileSync(join(folder, "events.jsonl"), "utf8");
    expect(() => openRun(folder, { ...options, settings: {} })).toThrowError(
      expect.objectContaining({
        code: "ERR_RUN_EXISTS",
        exitCode: 2,
        where: folder,
        fix: "choose another --out.",
      }),
    );
    expect(readFileSync(join(folder, "events.jsonl"), "utf8")).toBe(before);
    expect(readRunSettings(folder).settings).toEqual(options.settings);
  });

  test("--resume is offered where there is a checkpoint to continue from", () => {
    openRun(folder, options).end("interrupted");
    mkdirSync(join(folder, "checkpoints"));
    expect(() => checkOutputFolder(folder)).toThrowError(
      expect.objectContaining({ code: "ERR_RUN_EXISTS", fix: expect.stringContaining("--resume") }),
    );
  });

  test("a folder that holds other files is refused, and they are named", () => {
    mkdirSync(folder);
    for (const name of ["a.txt", "b.txt", "c.txt", "d.txt"]) writeFileSync(join(folder, name), "");
    expect(() => checkOutputFolder(folder)).toThrowError(
      expect.objectContaining({
        code: "ERR_OUT_NOT_EMPTY",
        where: `${folder}: a.txt, b.txt, c.txt and 1 more`,
      }),
    );
  });

  test("a path that is a file, or leads through one, is refused", () => {
    writeFileSync(folder, "");
    for (const path of [folder, join(folder, "run")]) {
      expect(() => openRun(path, options)).toThrowError(
        expect.objectContaining({ code: "ERR_OUT_NOT_FOLDER" }),
      );
    }
  });

  test("a run that fails before its first step leaves nothing behind", () => {
    expect(() => {
      using run = openRun(folder, options);
      run.openLineage("train.jsonl");
      throw new Error("the first forward pass failed");
    }).toThrow("first forward pass");
    expect(existsSync(folder)).toBe(false);
  });

  test("a run that fails later keeps what it wrote and says that it failed", async () => {
    expect(() => {
      using run = openRun(folder, options);
      run.log(stepEnd(1));
      throw new Error("boom");
    }).toThrow("boom");
    const record = await readRun(folder);
    expect(record.status).toBe("failed");
    expect(record.steps).toHaveLength(1);
  });

  test("no temporary file stays", () => {
    using run = openRun(folder, options);
    run.writeFile("report.html", "<p>");
    expect(readdirSync(folder).sort()).toEqual([".lock", "events.jsonl", "report.html", "settings.json"]);
  });
});

describe("resuming", () => {
  test("a folder without a run is refused", () => {
    expect(() => openRun(folder, { ...options, resume: true })).toThrowError(
      expect.objectContaining({ code: "ERR_RUN_NOT_FOUND", exitCode: 2 }),
    );
    expect(existsSync(folder)).toBe(false);
  });

  test("steps after the checkpoint are void, and the later ones count", async () => {
    {
      using run = openRun(folder, options);
      const lineage = run.openLineage("train.jsonl");
      for (const step of [1, 2, 3]) {
        run.log(stepEnd(step, step));
        lineage.append(step, [step * 10, step * 10 + 1]);
      }
    }
    {
      using run = openRun(folder, { ...options, resume: true, resumedFromStep: 1 });
      run.openLineage("train.jsonl").append(2, Int32Array.of(77, 78));
      run.log(stepEnd(2, 20));
      run.end("interrupted");
    }
    const record = await readRun(folder);
    expect(record.steps.map(({ step, loss }) => [step, loss])).toEqual([
      [1, 1],
      [2, 20],
    ]);
    expect(record.status).toBe("interrupted");
    expect(record.events.filter(({ event }) => event === "step-end")).toHaveLength(4);
    const lineage = await readLineage(join(folder, "lineage"));
    expect([...lineage.rowsOfStep]).toEqual([
      [1, [10, 11]],
      [2, [77, 78]],
    ]);
    expect(stepsOfRow(lineage, 78)).toEqual([2]);
    expect(stepsOfRow(lineage, 30)).toEqual([]);
  });

  test("a line that a killed process left unfinished does not spoil the next one", async () => {
    {
      using run = openRun(folder, options);
      run.log(stepEnd(1));
    }
    appendFileSync(join(folder, "events.jsonl"), '{"event":"step-end","ti');
    {
      using run = openRun(folder, { ...options, resume: true, resumedFromStep: 1 });
      run.log(stepEnd(2));
    }
    const record = await readRun(folder);
    expect(record.steps.map(({ step }) => step)).toEqual([1, 2]);
    expect(record.notes).toEqual([
      expect.stringMatching(/^Line 4 of events.jsonl was skipped \(not complete JSON\)/),
    ]);
  });
});

describe("reading", () => {
  const events = () => join(folder, "events.jsonl");

  test("NaN and infinities come back as numbers, at any depth", async () => {
    {
      using run = openRun(folder, options);
      run.log({
        ...stepEnd(1, Number.NaN),
        grad_norm: Number.POSITIVE_INFINITY,
        sources: { flan: { loss: Number.NEGATIVE_INFINITY, trained_tokens: 3 } },
      });
    }
    expect(readFileSync(events(), "utf8")).toContain('"loss":"NaN"');
    const [step] = (await readRun(folder)).steps;
    expect(step).toMatchObject({ loss: Number.NaN, grad_norm: Number.POSITIVE_INFINITY });
    expect(step!.sources!.flan!.loss).toBe(Number.NEGATIVE_INFINITY);
  });

  test("a line separator inside text stays inside its line", async () => {
    {
      using run = openRun(folder, options);
      run.log({ event: "sample", step: 1, prompt: "a\u2028b", text: "c\u2029d\n" });
    }
    expect(readFileSync(events(), "utf8")).not.toMatch(/[\u2028\u2029]/);
    expect((await readRun(folder)).samples[0]).toMatchObject({ prompt: "a\u2028b", text: "c\u2029d\n" });
  });

  test("a run that is being written is unfinished; its half line is told", async () => {
    const run = openRun(folder, options);
    run.log(stepEnd(1));
    appendFileSync(events(), '{"event":"st');
    const record = await readRun(folder);
    run[Symbol.dispose]();
    expect(record.status).toBe("unfinished");
    expect(record.steps).toHaveLength(1);
    expect(record.notes).toEqual([expect.stringContaining("last line is not complete")]);
  });

  test("events and fields of a newer version are tolerated and told", async () => {
    mkdirSync(folder);
    const time = "2026-01-01T00:00:00.000Z";
    writeFileSync(
      events(),
      [
        JSON.stringify({ event: "moon-phase", time, phase: 3 }),
        JSON.stringify({ time, ...stepEnd(1), new_field: 1 }),
        JSON.stringify({ event: "moon-phase", time }),
        "",
      ].join("\n"),
    );
    const { events: found, notes } = await readEvents(events());
    expect(found).toEqual([expect.objectContaining({ event: "step-end", step: 1 })]);
    expect(notes).toEqual([expect.stringContaining("moon-phase (2). A newer Camelid")]);
  });

  test("a known event with a wrong field is skipped and the field is named", async () => {
    mkdirSync(folder);
    writeFileSync(
      events(),
      `${JSON.stringify({ event: "step-end", time: "2026-01-01T00:00:00Z", step: -1 })}\n\n`,
    );
    const { events: found, notes } = await readEvents(events());
    expect(found).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(/^Line 1 .*\(step: /)]);
  });

  test("a run folder without events is empty", async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, "settings.json"), "{}");
    expect(await readRun(folder)).toMatchObject({ status: "empty", steps: [], notes: [] });
  });

  test("settings that are not JSON are one clear error", async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, "settings.json"), "{");
    await expect(readRun(folder)).rejects.toMatchObject({ code: "ERR_SETTINGS_FILE", exitCode: 2 });
  });

  test("a lineage cut in the middle of a number does not give a wrong row", async () => {
    mkdirSync(folder);
    const path = join(folder, "lineage");
    writeFileSync(path, "# camelid lineage 1, rows of a.jsonl\n1: 10 20\n2: 30 4");
    const lineage = await readLineage(path);
    expect([...lineage.rowsOfStep.keys()]).toEqual([1]);
    expect(lineage.brokenLines).toEqual([3]);
    expect(lineage.header).toBe("a.jsonl");
  });
});
