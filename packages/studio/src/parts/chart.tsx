/**
 * Lines over steps. Drag to look closer, double-click to see all, click a point to open its step; with the keyboard, arrow
 * keys read values and Enter opens.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { number } from "../format.ts";
import { useWidth } from "../hooks.ts";
import { onThemeChange } from "../theme.ts";
import { type ChartProps, plotData, plotOptions, watchClicks } from "./chart-plot.ts";

export function Chart(props: ChartProps) {
  const { title, unit, x, lines, height = 150 } = props;
  const [area, width] = useWidth<HTMLElement>();
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const holder = useRef<HTMLDivElement>(null);
  const reading = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const shown = lines.filter(({ name }) => !off.has(name));
  const shape = JSON.stringify([
    shown.map((line) => [line.name, line.tint, !!line.behind, !!line.low, line.sparse, line.dash]),
    props.log,
    props.fromZero,
    height,
  ]);
  const [themeTurn, setThemeTurn] = useState(0);
  useEffect(() => onThemeChange(() => setThemeTurn((n) => n + 1)), []);

  const data = useMemo(() => plotData(x, shown), [x, lines, off]);

  // A plot is made anew when its shape changes, not when its data do
  useEffect(() => {
    if (holder.current === null || width === 0) return;
    const read = (index: number | null | undefined) => {
      if (reading.current !== null) reading.current.innerHTML = "";
      if (index === null || index === undefined || reading.current === null) return;
      tell(reading.current, latest.current, index, off);
    };
    const made = new uPlot(plotOptions(latest.current, shown, width, height, read), data, holder.current);
    plot.current = made;
    const stop = watchClicks(
      made,
      (index) => latest.current.onPick?.(index),
      () => latest.current.onReset?.(),
    );
    return () => {
      stop();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, width === 0, themeTurn]);
  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);

  const onKey = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20 };
    const now = plot.current?.cursor.idx ?? 0;
    if (event.key === "Enter") props.onPick?.(now);
    const move = moves[event.key];
    if (move === undefined || plot.current === undefined) return;
    event.preventDefault();
    const index = Math.min(x.length - 1, Math.max(0, now + move));
    plot.current.setCursor({ left: plot.current.valToPos(x[index]!, "x"), top: 0 });
  };
  const badCount = shown.reduce((sum, line) => sum + (line.badCount ?? 0), 0);
  const firstBad = shown.flatMap(({ bad }) => bad ?? [])[0];
  return (
    <figure class="chart" ref={area}>
      <header>
        <h3>
          {title}
          {unit && <small>{unit}</small>}
        </h3>
        {lines.length > 1 && (
          <span class="legend">
            {lines.map(({ name, tint, dash }) => (
              <button
                type="button"
                key={name}
                aria-pressed={!off.has(name)}
                onClick={() => setOff(toggled(off, name))}
              >
                <span class={`swatch t${tint}${dash ? " dash" : ""}`} />
                {name}
              </button>
            ))}
          </span>
        )}
        {badCount > 0 && firstBad && (
          <span class="nan">
            {firstBad.value} at step {number(firstBad.step)}
            {badCount > 1 && ` and ${badCount - 1} more`}
          </span>
        )}
        <span class="reading" ref={reading} aria-live="polite" />
      </header>
      <div
        ref={holder}
        style={{ minHeight: `${height}px` }}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys read values
        tabIndex={0}
        role="img"
        aria-label={summary(props)}
        onKeyDown={onKey}
      />
    </figure>
  );
}

function toggled(set: ReadonlySet<string>, name: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(name)) next.add(name);
  return next;
}

function tell(place: HTMLElement, { x, lines }: ChartProps, index: number, off: ReadonlySet<string>): void {
  const step = document.createElement("span");
  step.textContent = `step ${number(Math.round(x[index] ?? 0))} `;
  place.append(step);
  const shown = lines.filter(({ name }) => !off.has(name));
  for (const { name, values, behind } of shown.slice(0, 6)) {
    const value = behind?.[index] ?? values[index];
    const bold = document.createElement("b");
    bold.textContent = number(value ?? null);
    if (shown.length > 1) place.append(` ${name} `);
    place.append(bold);
  }
}

function summary({ title, unit, x, lines, onPick }: ChartProps): string {
  const parts = lines.slice(0, 4).map(({ name, values }) => {
    const finite = values.filter((value) => value !== null);
    return finite.length === 0
      ? `${name}: no values`
      : `${name} from ${number(finite[0]!)} to ${number(finite.at(-1)!)}`;
  });
  return `${title}${unit ? `, ${unit}` : ""}, steps ${x[0] ?? 0} to ${x.at(-1) ?? 0}: ${parts.join("; ")}. Arrow keys read values${onPick ? ", Enter opens a step" : ""}.`;
}
