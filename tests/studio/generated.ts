/** Runs, rows and evaluations made up for the Studio: whatever a run can be is among them. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { random } from "../tiny-model.js";

export interface RunOptions {
  steps: number;
  total?: number;
  status?: "completed" | "failed" | "interrupted";
  /** The loss of this step is NaN, or stands out. */
  nanAt?: number;
  spikeAt?: number;
  sources?: string[];
  settings?: Record<string, unknown>;
  rows?: number;
  seed?: number;
  /** Appended as it is: a line that was cut. */
  tail?: string;
}

/** A run folder with settings, events and lineage. */
export function writeRun(folder: string, options: RunOptions): void {
  const {
    steps,
    total = steps,
    status,
    nanAt,
    spikeAt,
    sources = ["hills", "plains"],
    rows = 40,
    seed = 1,
  } = options;
  const next = random(seed);
  const settings = {
    model: "model",
    data: "rows.jsonl",
    out: folder,
    learningRate: 1e-3,
    maxSeqLen: 256,
    seed: 1,
    ...options.settings,
  };
  const origins = {
    model: { source: "flag", detail: "--model" },
    data: { source: "flag", detail: "--data" },
    learningRate: { source: "set", detail: "--set learningRate" },
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "settings.json"),
    JSON.stringify({ ...settings, $provenance: { recipe: "sft", origins } }),
  );
  const start = Date.UTC(2026, 0, 5, 8);
  const time = (step: number) => new Date(start + step * 500).toISOString();
  const lines: string[] = [
    JSON.stringify({
      event: "run-start",
      time: time(0),
      format: 1,
      recipe: "sft",
      total_steps: total,
      environment: { threads: 1 },
    }),
  ];
  const lineage = ["# camelid lineage 1, rows of rows.jsonl sha256:0"];
  for (let step = 1; step <= steps; step++) {
    const base = 1 + 3 * Math.exp((-6 * step) / total) + (next() - 0.5) * 0.2;
    const loss = step === nanAt ? "NaN" : step === spikeAt ? base + 6 : base;
    const perSource = Object.fromEntries(
      sources.map((name, i) => [name, { loss: base + i * 0.3, trained_tokens: 50 }]),
    );
    lines.push(
      JSON.stringify({
        ...{
          event: "step-end",
          time: time(step),
          step,
          epoch: step / total,
          loss,
          lr: 1e-3 * (1 - step / total),
          grad_norm: 1 + next(),
        },
        ...{ trained_tokens: 100, tokens_per_second: 900 + next() * 100, sources: perSource },
      }),
    );
    lineage.push(`${step}: ${Array.from({ length: 4 }, () => Math.floor(next() * rows)).join(" ")}`);
  }
  if (steps > 0) {
    lines.push(
      JSON.stringify({
        event: "sample",
        time: time(steps),
        step: steps,
        prompt: "Say hello",
        text: "<img src=x onerror=alert(1)> hello",
      }),
    );
    lines.push(
      JSON.stringify({ event: "eval-end", time: time(steps), step: steps, name: "held-out", loss: 1.4 }),
    );
  }
  if (status !== undefined) {
    const error =
      status === "failed"
        ? { error: { code: "ERR_LOSS_NAN", message: `the loss of step ${steps} is NaN.` } }
        : {};
    lines.push(
      JSON.stringify({
        event: "run-end",
        time: time(steps),
        status,
        step: steps,
        duration_ms: steps * 500,
        ...error,
      }),
    );
  }
  writeFileSync(join(folder, "events.jsonl"), `${lines.join("\n")}\n${options.tail ?? ""}`);
  writeFileSync(join(folder, "lineage"), `${lineage.join("\n")}\n`);
}

/** One more step at the end of a run that is going on. */
export function appendStep(folder: string, step: number, loss: number): void {
  const event = {
    event: "step-end",
    time: new Date().toISOString(),
    step,
    epoch: 1,
    loss,
    lr: 1e-3,
    grad_norm: 1,
    trained_tokens: 100,
    tokens_per_second: 900,
  };
  appendFileSync(join(folder, "events.jsonl"), `${JSON.stringify(event)}\n`);
}

/** An evaluation folder as `camelid eval` writes it: two tasks, some items right. */
export function writeEval(
  folder: string,
  model: string,
  right: (task: string, item: number) => boolean,
  items = 40,
): void {
  mkdirSync(folder, { recursive: true });
  const tasks = Object.fromEntries(
    ["gsm8k", "mmlu", "bbh"].map((task) => {
      const verdicts = Array.from({ length: items }, (_, i) => right(task, i));
      const lines = verdicts.map((isRight, i) =>
        JSON.stringify({
          ...{
            task,
            id: `${task}-${i}`,
            group: i % 2 === 0 ? "even" : "odd",
            target: String(i),
            prompt: `Question ${i}: how much is ${i}?`,
            output: `It is ${isRight ? i : i + 1}.`,
          },
          ...{
            extracted: String(isRight ? i : i + 1),
            verdict: isRight ? "right" : "wrong",
            score: isRight ? 1 : 0,
            answers: [],
          },
        }),
      );
      writeFileSync(join(folder, `${task}.jsonl`), `${lines.join("\n")}\n`);
      const count = verdicts.filter(Boolean).length;
      const score = (100 * count) / items;
      return [
        task,
        {
          ...{
            task,
            title: task.toUpperCase(),
            profile: "standard",
            metric: "exact match",
            unit: "%",
            score,
            interval: [Math.max(0, score - 10), Math.min(100, score + 10)],
          },
          ...{
            interval_method: "wilson",
            items,
            graded: items,
            right: count,
            wrong: items - count,
            failed: 0,
            skipped: 0,
            truncated: 0,
            extraction_failed: 0,
          },
          ...{ empty: 0, prompt_too_long: 0, files: [], notes: [], predictions: `${task}.jsonl`, seconds: 1 },
        },
      ];
    }),
  );
  const metrics = {
    format: 1,
    model: { name: model, identity: model },
    profile: "standard",
    seed: 42,
    updated: "2026-01-05T08:00:00.000Z",
    tasks,
  };
  writeFileSync(join(folder, "metrics.json"), JSON.stringify(metrics));
}
