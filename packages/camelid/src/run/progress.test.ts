import { describe, expect, test } from "vitest";
import { durationText, type OutputMode, outputMode, Progress, rateText } from "./progress.js";

/** A progress whose clock and output are ours. */
function setUp(mode: OutputMode, { total = 1000, start = 0, columns = 80, label = "sft" } = {}) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const sink = { write: (text: string) => written.push(text), columns };
  const progress = new Progress({
    label,
    unit: "step",
    mode,
    start,
    sink,
    now: () => clock.ms,
    ...(total === 0 ? {} : { total }),
  });
  return { written, clock, progress };
}

describe("on a terminal", () => {
  test("one line with bar, count, rate, ETA and details, replaced in place", () => {
    const { written, clock, progress } = setUp("terminal");
    for (let step = 1; step <= 20; step += 1) {
      clock.ms += 250;
      progress.update(step, { loss: "1.234" });
    }
    expect(written.at(-1)).toMatchInlineSnapshot(
      `"sft  ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  20/1,000 steps  4.0 steps/s  ETA 4:05  loss 1.234"`,
    );
    expect(written.filter((text) => text === "\r\u001B[2K")).toHaveLength(19);
    progress.end();
    expect(written.at(-1)).toBe("\n");
  });

  test.each([20, 40, 60, 80, 200])("a line never wraps at %i columns", (columns) => {
    const { written, clock, progress } = setUp("terminal", {
      columns,
      total: 123_456_789,
      label: "tokenise",
    });
    for (const done of [0, 1, 100, 123_456_789]) {
      clock.ms += 1000;
      progress.update(done, {
        loss: "1.234567",
        lr: "0.00002",
        "tokens/s": "123,456",
        source: "x".repeat(100),
      });
    }
    for (const line of written)
      if (!line.includes("\u001B")) expect(line.length).toBeLessThan(Math.min(columns, 80));
  });

  test("a terminal that reports no width gets whole lines", () => {
    const { written, progress } = setUp("terminal", { columns: 0 });
    progress.update(1, { loss: "1.234" });
    expect(written.at(-1)).toMatch(/1\/1,000 steps {2}loss 1\.234$/);
  });

  test("a printed line stands above the live line", () => {
    const { written, clock, progress } = setUp("terminal");
    clock.ms = 1000;
    progress.update(1);
    progress.print("checkpoint saved");
    expect(written.slice(-3)).toEqual([
      "\r\u001B[2K",
      "checkpoint saved\n",
      expect.stringContaining("1/1,000 steps"),
    ]);
  });
});

describe("in a pipe", () => {
  test("plain lines, at most one in ten seconds, and always the last state", () => {
    const { written, clock, progress } = setUp("lines", { total: 600 });
    for (let step = 1; step <= 600; step += 1) {
      clock.ms += 100;
      progress.update(step);
    }
    progress.end();
    expect(written.length).toBe(7);
    expect(written.at(-1)).toBe("sft  600/600 steps  10 steps/s\n");
    expect(written.join("")).not.toMatch(/\r|━/);
  });
});

describe("for machines", () => {
  test("JSON lines with numbers", () => {
    const { written, clock, progress } = setUp("json");
    clock.ms = 2000;
    progress.update(4, { loss: Number.NaN });
    expect(written.map((line) => JSON.parse(line))).toEqual([
      {
        event: "progress",
        label: "sft",
        unit: "step",
        done: 4,
        total: 1000,
        rate: 2,
        eta_s: 498,
        loss: "NaN",
      },
    ]);
  });
});

test("silent writes nothing", () => {
  const { written, clock, progress } = setUp("silent");
  clock.ms = 1e9;
  progress.update(1);
  progress.print("x");
  progress.end();
  expect(written).toEqual([]);
});

test("the rate follows the last half minute, not the slow start, with bounded memory", () => {
  const { clock, progress } = setUp("silent");
  clock.ms = 60_000;
  progress.update(1);
  for (let step = 2; step <= 5001; step += 1) {
    clock.ms += 20;
    progress.update(step);
  }
  expect(progress.rate).toBeCloseTo(50, 0);
});

test("a resumed run's rate does not count the steps done before", () => {
  const { clock, progress } = setUp("silent", { start: 500 });
  clock.ms = 100;
  clock.ms = 1100;
  progress.update(502);
  expect(progress.rate).toBeCloseTo(2 / 1.1, 5);
});

test("an unknown total has a rate but no ETA", () => {
  const { written, clock, progress } = setUp("lines", { total: 0 });
  progress.update(0);
  clock.ms = 20_000;
  progress.update(10);
  expect(written.at(-1)).toBe("sft  10 steps  2.0 s/step\n");
});

test.each([
  [7, "0:07"],
  [750, "12:30"],
  [11_100, "3:05:00"],
  [187_800, "2d 04:10"],
])("%i s is %s", (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});

test.each([
  [3.21, "3.2 steps/s"],
  [0.25, "4.0 s/step"],
  [12_345, "12,345 steps/s"],
])("a rate of %d is %s", (rate, text) => {
  expect(rateText(rate, "step")).toBe(text);
});

test("the mode follows the stream unless JSON is asked for", () => {
  const write = () => true;
  expect(outputMode(false, { write, isTTY: true })).toBe("terminal");
  expect(outputMode(false, { write })).toBe("lines");
  expect(outputMode(true, { write, isTTY: true })).toBe("json");
});
