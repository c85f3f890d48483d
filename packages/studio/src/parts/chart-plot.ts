/** What uPlot is told: data in columns, axes, bands, and what a pointer does. */
import type uPlot from "uplot";
import { number } from "../format.ts";
import { color } from "../theme.ts";

export interface Line {
  name: string;
  /** 1 to 8. */
  tint: number;
  /** Bold: the mean that is read. */
  values: readonly (number | null)[];
  /** Drawn faintly behind, where there is a smoothed line. */
  behind?: readonly (number | null)[] | undefined;
  low?: readonly (number | null)[] | undefined;
  high?: readonly (number | null)[] | undefined;
  bad?: { step: number; value: string }[];
  badCount?: number;
  dash?: boolean;
  /** Few values, far apart: shown as points that a line joins. */
  sparse?: boolean;
}

export interface ChartProps {
  title: string;
  unit?: string | undefined;
  x: readonly number[];
  lines: readonly Line[];
  height?: number;
  fromZero?: boolean;
  log?: boolean;
  /** Charts of one group move their cursors together. */
  sync?: string;
  onPick?: ((index: number) => void) | undefined;
  onZoom?: ((from: number, to: number) => void) | undefined;
  onReset?: (() => void) | undefined;
}

export function plotData(x: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  const columns: (readonly (number | null)[])[] = [x];
  for (const line of lines) {
    if (line.low && line.high) columns.push(line.low, line.high);
    if (line.behind) columns.push(line.behind);
    columns.push(line.values);
  }
  return columns as unknown as uPlot.AlignedData;
}

export function plotOptions(
  props: ChartProps,
  lines: readonly Line[],
  width: number,
  height: number,
  read: (index: number | null | undefined) => void,
): uPlot.Options {
  const [soft, grid, bad] = [color("soft"), color("line"), color("bad")];
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const line of lines) {
    const stroke = color(`c${line.tint}`);
    const faint = stroke.replace("rgb(", "rgba(").replace(")", ", 0.5)");
    const fill = stroke.replace("rgb(", "rgba(").replace(")", ", 0.16)");
    if (line.low && line.high) {
      const hidden = { width: 0, points: { show: false }, stroke: "transparent" };
      series.push({ ...hidden }, { ...hidden });
      bands.push({ series: [series.length - 1, series.length - 2], fill });
    }
    if (line.behind) series.push({ stroke: faint, width: 1, points: { show: false }, spanGaps: false });
    const points = line.sparse ? { show: true, size: 5, fill: stroke } : { show: false };
    series.push({
      stroke,
      width: 1.6,
      points,
      spanGaps: line.sparse ?? false,
      ...(line.dash ? { dash: [5, 4] } : {}),
    });
  }
  return {
    width,
    height,
    series,
    bands,
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      ...(props.sync ? { sync: { key: props.sync } } : {}),
    },
    scales: {
      x: { time: false },
      y: props.log
        ? { distr: 3 }
        : { range: (_plot, low, high) => yRange(low, high, props.fromZero ?? false) },
    },
    padding: [8, 20, 0, 0], // half of the last step's label
    axes: [
      {
        stroke: soft,
        font: "11px ui-sans-serif, system-ui, sans-serif",
        grid: { show: false },
        ticks: { stroke: grid, size: 4 },
        size: 26,
        values: (_plot, ticks) =>
          ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString("en") : "")),
      },
      {
        stroke: soft,
        font: "11px ui-sans-serif, system-ui, sans-serif",
        grid: { stroke: grid, width: 1 },
        ticks: { show: false },
        size: 52,
        values: (_plot, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick, 3))),
      },
    ],
    hooks: {
      setCursor: [(plot) => read(plot.cursor.idx)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          props.onZoom?.(
            plot.posToVal(plot.select.left, "x"),
            plot.posToVal(plot.select.left + plot.select.width, "x"),
          );
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      draw: [(plot) => drawBad(plot, lines, bad)],
    },
  };
}

/** Steps whose value is not a number: a red line from top to bottom. */
function drawBad(plot: uPlot, lines: readonly Line[], stroke: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.setLineDash([4, 3]);
  ctx.lineWidth = devicePixelRatio;
  for (const { step } of lines.flatMap(({ bad }) => bad ?? [])) {
    const x = Math.round(plot.valToPos(step, "x", true));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function yRange(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  const bottom = fromZero ? Math.min(0, low) : low;
  const span = high - bottom || Math.abs(high) || 1;
  return [bottom === 0 && fromZero ? 0 : bottom - span * 0.05, high + span * 0.06];
}

/** A press that did not move is a click; two are a wish to see everything. */
export function watchClicks(plot: uPlot, pick: (index: number) => void, reset: () => void): () => void {
  const { over } = plot;
  let from = 0;
  const down = (event: MouseEvent) => {
    from = event.clientX;
  };
  const click = (event: MouseEvent) => {
    const index = plot.cursor.idx;
    if (Math.abs(event.clientX - from) < 4 && index !== null && index !== undefined) pick(index);
  };
  over.addEventListener("mousedown", down);
  over.addEventListener("click", click);
  over.addEventListener("dblclick", reset);
  return () => {
    over.removeEventListener("mousedown", down);
    over.removeEventListener("click", click);
    over.removeEventListener("dblclick", reset);
  };
}
