import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { NewEvent } from "../run/events.js";
import { readRun } from "../run/read-run.js";
import { openRun } from "../run/run-directory.js";
import { barChart, histogram } from "./bars.js";
import { html } from "./html.js";
import { lineChart, runningMean, thin } from "./line-chart.js";
import { page } from "./page.js";
import { runReport } from "./run-report.js";
import { numberText, scaleOf, tickTexts } from "./scale.js";
import { tokenStrip } from "./token-strip.js";

const hostile = `"><script>alert(1)</script>`;

async function reportOf(events: NewEvent[], settings: object = {}): Promise<string> {
  const folder = join(mkdtempSync(join(tmpdir(), "camelid-report-")), "run");
  {
    using run = openRun(folder, { recipe: "sft", settings });
    for (const event of events) run.log(event);
    run.end("completed");
  }
  return runReport(await readRun(folder));
}
const step = (n: number, loss: number): NewEvent => ({
  event: "step-end",
  step: n,
  epoch: 1,
  loss,
  lr: 1e-5,
  grad_norm: 1,
  trained_tokens: 10,
  tokens_per_second: 5,
  sources: { [hostile]: { loss, trained_tokens: 10 } },
  metrics: { "rewards/chosen": loss },
});

describe("the report of a run", () => {
  test("loads nothing from anywhere and forbids the browser to", async () => {
    const text = await reportOf([step(1, 3), step(2, 2)]);
    expect(text).toContain("default-src &#39;none&#39;");
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(text).not.toMatch(/@import|url\(/);
  });

  test("shows hostile text from data as text", async () => {
    const text = await reportOf(
      [
        step(1, 3),
        { event: "sample", step: 1, prompt: hostile, text: hostile },
        { event: "warning-raised", code: "X", message: hostile },
      ],
      { model: hostile },
    );
    expect(text).not.toContain("<script>alert");
    expect(text.match(/<script>/g)).toHaveLength(1);
    expect(text).toContain("&lt;script&gt;alert(1)");
  });

  test("shows NaN as NaN, and where", async () => {
    const text = await reportOf([step(1, 3), step(2, Number.NaN), step(3, 2)]);
    expect(text).toContain("not a finite number</b> at step 2.");
    expect(text).toContain('class="bad ');
  });

  test("does not take a metric that a step lacks, or a source without trained tokens, for a NaN", async () => {
    const plain = step(1, 3) as Extract<NewEvent, { event: "step-end" }>;
    const { metrics: _, ...without } = plain;
    const text = await reportOf([
      { ...without, sources: { quiet: { loss: 0, trained_tokens: 0 } } },
      step(2, 2),
    ]);
    expect(text).toContain("rewards/chosen");
    expect(text).not.toMatch(/class="bad|>NaN</);
  });

  test("can be made of a run without a single step", async () => {
    expect(await reportOf([])).toContain("No step was done");
  });

  test("can be made when every loss is NaN", async () => {
    expect(await reportOf([step(1, Number.NaN)])).toContain("no finite value");
  });
});

describe("line charts", () => {
  test("put the extremes at the borders of the axis, large values up", () => {
    const text = String(
      lineChart({
        title: "t",
        series: [
          {
            name: "a",
            points: [
              [0, 0],
              [10, 10],
            ],
          },
        ],
      }),
    );
    expect(text).toContain('d="M0 1000L1000 0"');
  });

  test("leave a gap where a value is not finite", () => {
    const text = String(
      lineChart({
        title: "t",
        series: [
          {
            name: "a",
            points: [
              [0, 0],
              [1, 1],
              [2, Number.NaN],
              [3, 1],
              [4, 0],
            ],
          },
        ],
      }),
    );
    expect(text).toContain('d="M0 1000L250 0M750 0L1000 1000"');
  });

  test("keep a spike of one step among many thousands", () => {
    const points = Array.from({ length: 20_000 }, (_, i) => [i, i === 12_345 ? 9 : 1] as const);
    const kept = thin(points);
    expect(kept.length).toBeLessThan(1500);
    expect(kept).toContainEqual([12_345, 9]);
  });

  test("say in words what they show", () => {
    const text = String(
      lineChart({
        title: "Loss",
        series: [
          {
            name: "training",
            points: [
              [1, 3],
              [9, 1.5],
            ],
          },
        ],
      }),
    );
    expect(text).toContain('aria-label="Loss. training: 3 at step 1 to 1.5 at step 9."');
  });

  test("a running mean of a straight line is the line, away from its ends", () => {
    const mean = runningMean(Array.from({ length: 200 }, (_, i) => [i, 2 * i] as const));
    expect(mean[100]).toEqual([100, 200]);
  });
});

describe("scales", () => {
  test.each([
    [
      [0, 10],
      [0, 2, 4, 6, 8, 10],
      ["0", "2", "4", "6", "8", "10"],
    ],
    [
      [0.1, 0.32],
      [0.1, 0.15, 0.2, 0.25, 0.3, 0.35],
      ["0.10", "0.15", "0.20", "0.25", "0.30", "0.35"],
    ],
    [
      [0, 2e-5],
      [0, 5e-6, 1e-5, 1.5e-5, 2e-5],
      ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"],
    ],
    [
      [-1, 1],
      [-1, -0.5, 0, 0.5, 1],
      ["-1.0", "-0.5", "0.0", "0.5", "1.0"],
    ],
    [
      [3, 3],
      [1, 2, 3, 4, 5],
      ["1", "2", "3", "4", "5"],
    ],
  ])("%o has ticks %o", (values, ticks, texts) => {
    const scale = scaleOf(values);
    expect(scale.ticks).toEqual(ticks);
    expect(tickTexts(scale.ticks)).toEqual(texts);
  });

  test("a log scale has powers of ten", () => {
    expect(scaleOf([0.02, 300], { log: true }).ticks).toEqual([0.01, 0.1, 1, 10, 100, 1000]);
  });

  test.each([
    [1234567, "1,234,567"],
    [0.00002, "2e-5"],
    [1.23456, "1.235"],
    [0, "0"],
    [Number.NaN, "NaN"],
  ])("%d reads %s", (value, text) => {
    expect(numberText(value)).toBe(text);
  });
});

describe("bars", () => {
  test("a histogram counts every value once", () => {
    const text = String(histogram({ title: "t", values: [1, 1, 2, 3, 1000], max: 3 }));
    expect(text).toContain("5 values");
    expect(text).toContain("1 above 4 are in the last bar");
  });

  test("an empty histogram and an empty chart say so", () => {
    expect(String(histogram({ title: "t", values: [] }))).toContain("nothing yet");
    expect(String(lineChart({ title: "t", series: [] }))).toContain("nothing yet");
  });

  test("the longest bar fills its track", () => {
    expect(
      String(
        barChart({
          title: "t",
          bars: [
            { name: "a", value: 2 },
            { name: "b", value: 1 },
          ],
        }),
      ),
    ).toMatch(/width:100%.*width:50%/s);
  });
});

describe("token strips", () => {
  const token = (text: string, trained = false) => ({ text, id: 7, role: "user" as const, trained });

  test("make white space and unseen characters visible", () => {
    const text = String(tokenStrip([token(" a\t"), token("\n\n"), token("\u200b\u0007")]));
    expect(text).toContain("<i>·</i>a<i>→</i>");
    expect(text).toContain("<i>↵↵</i></span><br>");
    expect(text).toContain("⟨200B⟩⟨07⟩");
  });

  test("tell trained from not trained by class and in words", () => {
    const text = String(tokenStrip([token("a", true), token("b")]));
    expect(text).toContain('class="tok u t" title="0: id 7, user, trained"');
    expect(text).toContain('class="tok u" title="1: id 7, user, not trained"');
  });

  test("escape tokens that look like markup", () => {
    expect(String(tokenStrip([token("</s><b>")]))).toContain("&lt;/s&gt;&lt;b&gt;");
  });
});

test("a page's policy allows exactly the script it carries", async () => {
  const { createHash } = await import("node:crypto");
  const text = page({ title: "t", kind: "k", body: html`<p>x</p>` });
  const script = /<script>([\s\S]*?)<\/script>/.exec(text)![1]!;
  expect(text).toContain(
    `sha256-${createHash("sha256").update(script).digest("base64")}`.replaceAll("'", "&#39;"),
  );
});
