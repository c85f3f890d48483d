import { useState } from "preact/hooks";
import type { SeriesReply } from "../api.ts";
import { percent } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import type { Line } from "../parts/chart-plot.ts";
import { CurveControls, isFound } from "./curve-controls.tsx";
import { lineOf, useSeries, usualSmoothing, type Window } from "./series.ts";

const OWN = new Set(["loss", "lr", "grad_norm", "tokens_per_second", "epoch", "trained_tokens"]);

/** Every curve of one run. */
export function Curves({ id, steps, onStep }: { id: string; steps: number; onStep: (step: number) => void }) {
  const [range, setRange] = useState<Window["range"]>();
  const [smoothing, setSmoothing] = useState<number>();
  const [log, setLog] = useState(false);
  const [find, setFind] = useState("");
  const smooth = smoothing ?? usualSmoothing(steps);
  const reply = useSeries(id, { range, smooth });
  if (reply === undefined) return <div style={{ minHeight: "26rem" }} aria-busy="true" />;
  if (Object.keys(reply.series).length === 0) return <p class="empty">No step has been written yet.</p>;
  const zoom = (from: number, to: number) =>
    setRange({ from: Math.max(0, Math.floor(from)), to: Math.ceil(to) });
  const reset = () => setRange(undefined);
  const common = { x: reply.x, sync: `run-${id}`, onZoom: zoom, onReset: reset };
  const pick = (key: string) => (index: number) => onStep(stepAt(reply, key, index));
  const small = groups(reply).filter(({ title, keys }) =>
    isFound(
      title,
      keys.map(({ key }) => key),
      find,
    ),
  );
  return (
    <>
      <CurveControls
        window={{ range, smooth }}
        hint="Drag over a chart to look closer; click a point to see its rows."
        onSmooth={setSmoothing}
        log={log}
        onLog={setLog}
        find={find}
        onFind={setFind}
        onReset={reset}
      />
      {reply.readShare < 1 && (
        <p class="soft" role="status">
          Reading the run: {percent(reply.readShare, 0)}
        </p>
      )}
      {isFound("Loss", ["loss", "training"], find) && (
        <Chart
          {...common}
          title="Loss"
          unit="nats per trained token"
          lines={lossLines(reply)}
          height={280}
          log={log}
          onPick={pick("loss")}
        />
      )}
      <div class="charts">
        {small.map(({ title, unit, keys, fromZero }) => {
          const lines = keys.flatMap(({ key, name }, i) => {
            const line = lineOf(reply, key, name, tintOf(title, i), title !== "Learning rate");
            return line === undefined ? [] : [{ ...line, dash: i >= 8 }]; // the colours come round again
          });
          return (
            <Chart
              key={title}
              {...common}
              title={title}
              unit={unit}
              lines={lines}
              fromZero={fromZero ?? false}
              onPick={pick(keys[0]!.key)}
            />
          );
        })}
      </div>
    </>
  );
}

function lossLines(reply: SeriesReply): Line[] {
  const held = Object.keys(reply.series).filter((key) => /^eval\/[^/]+$/.test(key));
  return [
    ...[lineOf(reply, "loss", "training", 1)].filter((line) => line !== undefined),
    ...held.flatMap((key, i) => lineOf(reply, key, key.slice("eval/".length), 2 + i) ?? []),
  ];
}

interface Group {
  title: string;
  unit?: string;
  fromZero?: boolean;
  keys: { key: string; name: string }[];
}

function groups(reply: SeriesReply): Group[] {
  const keys = Object.keys(reply.series);
  const sources = keys.filter((key) => key.startsWith("source/"));
  const isCount = (key: string) => key.endsWith("/items") && keys.includes(key.replace(/items$/, "score"));
  const rest = keys.filter(
    (key) => !OWN.has(key) && !key.startsWith("source/") && !/^eval\/[^/]+$/.test(key) && !isCount(key),
  );
  // rewards/chosen and rewards/rejected are read together, and a benchmark's score with its interval.
  const sides = new Map<string, string[]>();
  for (const key of rest) {
    const match = /^(.*)\/(chosen|rejected)$|^(eval\/.*)\/(score|low|high)$/.exec(key);
    const family = match?.[1] ?? match?.[3] ?? key;
    sides.set(family, [...(sides.get(family) ?? []), key]);
  }
  const own: Group[] = [
    { title: "Learning rate", fromZero: true, keys: [{ key: "lr", name: "lr" }] },
    { title: "Gradient norm", unit: "before clipping", keys: [{ key: "grad_norm", name: "norm" }] },
    {
      title: "Throughput",
      unit: "tokens/s",
      fromZero: true,
      keys: [{ key: "tokens_per_second", name: "tokens/s" }],
    },
  ];
  return [
    ...(sources.length > 1
      ? [
          {
            title: "Loss by source",
            unit: "nats per trained token",
            keys: sources.map((key) => ({ key, name: key.slice("source/".length) })),
          },
        ]
      : []),
    ...own.filter((group) => group.keys.some(({ key }) => keys.includes(key))),
    ...[...sides].map(([family, members]) => ({
      title: family,
      keys: members.map((key) => ({ key, name: key.slice(family.length + 1) || key })),
    })),
  ];
}

const TINTS: Record<string, number> = { "Learning rate": 8, "Gradient norm": 3, Throughput: 2 };
const tintOf = (title: string, i: number): number => TINTS[title] ?? (i % 8) + 1;

/** In a bucket of many steps, the one with the highest value: a click on a spike means the spike. */
function stepAt(reply: SeriesReply, key: string, index: number): number {
  return reply.series[key]?.peak?.[index] ?? Math.round(reply.x[index] ?? 0);
}
