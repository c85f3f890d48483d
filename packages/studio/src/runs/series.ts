/** The curves of a run, asked for as finely as the chart is wide, and followed while it goes on. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, part, type SeriesReply, type SmoothReply } from "../api.ts";
import { useEvery } from "../hooks.ts";
import type { Line } from "../parts/chart-plot.ts";

export interface Window {
  /** Undefined: all steps. */
  range: { from: number; to: number } | undefined;
  smooth: number;
}

export function useSeries(id: string, { range, smooth }: Window, points = 700): SeriesReply | undefined {
  const [reply, setReply] = useState<SeriesReply>();
  const shown = useRef<{ steps: string; smooth: number; reply: SeriesReply }>(undefined);
  const load = useCallback(
    async (known?: string, signal?: AbortSignal) => {
      if (id === "") return;
      const query = { points, smooth, from: range?.from, to: range?.to };
      const steps = JSON.stringify([id, points, range]);
      const before = shown.current;
      const next =
        (known === undefined && before?.steps === steps && before.smooth !== smooth
          ? await resmoothed(id, before, query, signal)
          : undefined) ??
        (await get<SeriesReply | undefined>(`runs/${part(id)}/series`, { ...query, version: known }, signal));
      if (next === undefined || signal?.aborted) return;
      shown.current = { steps, smooth, reply: next };
      setReply(next);
    },
    [id, range?.from, range?.to, smooth, points],
  );
  useEffect(() => {
    const stop = new AbortController();
    load(undefined, stop.signal).catch(() => {});
    return () => stop.abort();
  }, [load]);
  const alive = reply === undefined || reply.status === "running" || reply.status === "empty";
  useEvery(
    reply !== undefined && reply.readShare < 1 ? 200 : alive ? 1000 : 4000,
    () => void load(shown.current?.reply.version).catch(() => {}),
  );
  return reply;
}

/** What is shown, smoothed otherwise; undefined where more than that has changed. Without smoothing the means are needed, too. */
async function resmoothed(
  id: string,
  { smooth, reply }: { smooth: number; reply: SeriesReply },
  query: { smooth: number } & Record<string, number | undefined>,
  signal: AbortSignal | undefined,
): Promise<SeriesReply | undefined> {
  if (smooth < 2 || query.smooth < 2) return undefined;
  const { version, series } = await get<SmoothReply>(`runs/${part(id)}/smooth`, query, signal);
  if (version !== reply.version) return undefined;
  const lines = Object.entries(reply.series).map(
    ([key, one]) => [key, { ...one, smooth: series[key] ?? [] }] as const,
  );
  return { ...reply, series: Object.fromEntries(lines) };
}

/** A series as a line: the smoothed mean in front of what it smooths. A schedule is not smoothed: it has no noise. */
export function lineOf(
  reply: SeriesReply,
  key: string,
  name: string,
  tint: number,
  smoothed = true,
): Line | undefined {
  const series = reply.series[key];
  if (series === undefined) return undefined;
  // Of a long run the server leaves the means out where a smoothed line stands for them.
  const plain = series.mean.length > 0 ? series.mean : (series.high ?? []);
  const values = plain.filter((value) => value !== null).length;
  const sparse = values > 0 && values < 40 && reply.x.length > values * 2;
  const common = {
    name,
    tint,
    low: series.low,
    high: series.high,
    bad: series.bad,
    badCount: series.badCount,
  };
  if (sparse) return { name, tint, values: plain, sparse, bad: series.bad, badCount: series.badCount };
  return series.smooth === undefined || !smoothed
    ? { ...common, values: plain }
    : { ...common, values: series.smooth, behind: series.low ? undefined : plain };
}

export const SMOOTHING = [0, 10, 50, 200, 1000, 5000];

/** About a fiftieth of the run, if it is long enough to need any. */
export function usualSmoothing(steps: number): number {
  return steps < 60 ? 0 : (SMOOTHING.findLast((n) => n <= Math.max(10, steps / 40)) ?? 10);
}
