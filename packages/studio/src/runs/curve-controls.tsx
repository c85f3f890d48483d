import { count } from "../format.ts";
import { SMOOTHING, type Window } from "./series.ts";

/** How the curves are looked at: smoothing, scale, and the way back to all steps. */
export function CurveControls(props: {
  window: Window;
  onSmooth: (smooth: number) => void;
  log: boolean;
  onLog: (log: boolean) => void;
  /** Words that the titles of the charts shown must hold. */
  find: string;
  onFind: (words: string) => void;
  onReset: () => void;
  hint: string;
}) {
  const { range, smooth } = props.window;
  return (
    <div class="fields">
      <label>
        Smooth
        <select value={smooth} onChange={(event) => props.onSmooth(Number(event.currentTarget.value))}>
          {SMOOTHING.map((n) => (
            <option key={n} value={n}>
              {n === 0 ? "not at all" : `over ${count(n)} steps`}
            </option>
          ))}
        </select>
      </label>
      <label>
        <input
          type="checkbox"
          checked={props.log}
          onChange={(event) => props.onLog(event.currentTarget.checked)}
        />
        log scale
      </label>
      <input
        type="search"
        class="narrow"
        placeholder="Find a curve"
        aria-label="Find a curve"
        value={props.find}
        onInput={(event) => props.onFind(event.currentTarget.value)}
      />
      {range ? (
        <button type="button" onClick={props.onReset}>
          steps {count(Math.round(range.from))} to {count(Math.round(range.to))}: show all
        </button>
      ) : (
        <span class="soft">{props.hint}</span>
      )}
    </div>
  );
}

/** Whether a chart is meant by what was typed: every word of it, in any order. */
export function isFound(title: string, keys: readonly string[], find: string): boolean {
  const text = `${title} ${keys.join(" ")}`.toLowerCase();
  return find
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
