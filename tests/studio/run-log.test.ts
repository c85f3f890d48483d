/** Following a run's events: cut, resumed, replaced, and cut into buckets for a chart. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readRowsOfStep } from "../../packages/camelid/src/run/lineage.js";
import { readRun } from "../../packages/camelid/src/run/read-run.js";
import { bucketed, gridOf, gridSteps } from "../../packages/camelid/src/studio/runs/bucket.js";
import { RunLog } from "../../packages/camelid/src/studio/runs/run-log.js";
import { Series } from "../../packages/camelid/src/studio/runs/series.js";
import { appendStep, writeRun } from "./generated.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-run-log-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(name: string): { path: string; log: RunLog } {
  const path = join(folder, name);
  const log = new RunLog(join(path, "events.jsonl"));
  log.update();
  return { path, log };
}

describe("following events", () => {
  test("has the numbers that the run's reader has", async () => {
    writeRun(join(folder, "same"), { steps: 50, nanAt: 7, status: "completed" });
    const { path, log } = open("same");
    const run = await readRun(path);
    const loss = log.series.get("loss")!;
    expect(loss.length).toBe(50);
    run.steps.forEach(({ step, loss: value }, i) => {
      expect(loss.step(i)).toBe(step);
      expect(loss.value(i)).toBe(value);
    });
    expect(log.end?.status).toBe("completed");
  });

  test("reads only what is new, and waits for a line to end", () => {
    writeRun(join(folder, "live"), { steps: 10 });
    const { path, log } = open("live");
    const before = log.version;
    log.update();
    expect(log.version).toBe(before);
    appendFileSync(
      join(path, "events.jsonl"),
      '{"event":"step-end","time":"2026-01-05T08:00:09.000Z","step":11,"ep',
    );
    log.update();
    expect([log.lastStep, log.hasTail, log.brokenCount]).toEqual([10, true, 0]);
    appendFileSync(
      join(path, "events.jsonl"),
      'och":1,"loss":1.5,"lr":0,"grad_norm":1,"trained_tokens":5,"tokens_per_second":9}\n',
    );
    log.update();
    expect([log.lastStep, log.hasTail]).toEqual([11, false]);
  });

  test("a resume takes back what was written after its step", () => {
    writeRun(join(folder, "back"), { steps: 10 });
    const { path, log } = open("back");
    appendFileSync(
      join(path, "events.jsonl"),
      `${JSON.stringify({ event: "run-start", time: "2026-01-05T09:00:00.000Z", format: 1, recipe: "sft", resumed_from_step: 4 })}\n`,
    );
    appendStep(path, 5, 42);
    log.update();
    const loss = log.series.get("loss")!;
    expect([loss.length, loss.value(4)]).toEqual([5, 42]);
    expect(log.samples).toEqual([]);
  });

  test("a new run in the same folder starts anew", () => {
    writeRun(join(folder, "again"), { steps: 40 });
    const { path, log } = open("again");
    writeRun(path, { steps: 3 });
    log.update();
    expect(log.lastStep).toBe(3);
  });

  test("lines that are not events are counted, with their place", () => {
    writeRun(join(folder, "torn"), { steps: 2 });
    appendFileSync(join(folder, "torn", "events.jsonl"), 'garbage\n{"event":"moon-phase"}\n');
    const { log } = open("torn");
    expect(log.brokenLines).toEqual([{ line: 6, reason: "not complete JSON" }]);
    expect([...log.unknown]).toEqual([["moon-phase", 1]]);
  });
});

describe("buckets", () => {
  const series = new Series();
  for (let step = 1; step <= 1000; step++)
    series.push(step, step === 500 ? 99 : step === 700 ? Number.NaN : 1);

  test("keep the spike and say where it is", () => {
    const grid = gridOf(1, 1000, 100);
    const { high, low, peak, mean } = bucketed(series, grid, 0);
    expect(grid).toMatchObject({ width: 10, count: 100 });
    expect(gridSteps(grid)[0]).toBe(5.5);
    expect([high![49], low![49], peak![49]]).toEqual([99, 1, 500]);
    expect(mean[49]).toBeCloseTo((9 + 99) / 10);
  });

  test("tell a NaN instead of hiding it in a mean", () => {
    const { bad, badCount, mean } = bucketed(series, gridOf(1, 1000, 1000), 0);
    expect([bad, badCount, mean[699]]).toEqual([[{ step: 700, value: "NaN" }], 1, null]);
  });

  test("smooth over every step, however few are shown, without lagging behind", () => {
    const all = bucketed(series, gridOf(1, 1000, 1000), 20).smooth!;
    const few = bucketed(series, gridOf(1, 1000, 10), 20).smooth!;
    expect(few[4]).toBeCloseTo(all[450]!, 12);
    expect(all[0]).toBeCloseTo(1, 12); // corrected for its start: no pull to zero
    expect(all[499 - 7]).toBeCloseTo(all[499 + 7]!, 9); // the spike at 500 has two equal slopes
    expect(all[499]).toBe(Math.max(...all.map((value) => value ?? 0)));
  });
});

test("the rows of one step are found without reading all of them into memory first", async () => {
  const path = join(folder, "lineage");
  writeFileSync(
    path,
    "# camelid lineage 1, rows of x\n1: 4 5\n2: 6 7\n3: 8 9\n# resumed after step 1\n2: 10 11\n12: 1 2",
  );
  expect(await readRowsOfStep(path, 1)).toEqual([4, 5]);
  expect(await readRowsOfStep(path, 2)).toEqual([10, 11]);
  expect(await readRowsOfStep(path, 3)).toBeUndefined(); // the resume made it void
  expect(await readRowsOfStep(path, 12)).toBeUndefined(); // its line was cut
});
