import { useState } from "preact/hooks";
import { get, part, type RunDetail, type SeriesReply } from "../api.ts";
import { count, number, plural, splitId } from "../format.ts";
import { useEvery, useLoad } from "../hooks.ts";
import { Failure, Note, Page, Part, Status } from "../parts/blocks.tsx";
import { Chart } from "../parts/chart.tsx";
import { link, type Route } from "../router.tsx";
import { CurveControls, isFound } from "./curve-controls.tsx";
import { ComparedSamples } from "./samples.tsx";
import { lineOf, usualSmoothing, type Window } from "./series.ts";

/** As many as there are colours. */
export const MOST_COMPARED = 8;

/** Runs laid over each other, and what was told to one and not to the other. */
export function CompareView({ route }: { route: Route }) {
  const asked = (route.query.get("runs") ?? "").split("\n").filter(Boolean);
  const ids = asked.slice(0, MOST_COMPARED);
  const { value: runs, error } = useLoad(`compare ${ids.join("\n")}`, (signal) =>
    Promise.all(ids.map((id) => get<RunDetail>(`runs/${part(id)}`, {}, signal))),
  );
  const over = <a href={link("runs")}>Runs</a>;
  if (error) {
    return (
      <Page over={over} title="Compared">
        <Failure of={error} />
      </Page>
    );
  }
  if (runs === undefined)
    return (
      <Page over={over} title="Compared">
        <div aria-busy="true" />
      </Page>
    );
  const names = shortNames(ids);
  return (
    <Page
      over={over}
      title={names.join(" · ")}
      lead={`${plural(runs.length, "run")} over each other, by step.`}
    >
      {asked.length > ids.length && (
        <Note tone="warn">
          The first {MOST_COMPARED} of {asked.length}: more lines cannot be told apart.
        </Note>
      )}
      <Overlay ids={ids} names={names} steps={Math.max(...runs.map(({ summary }) => summary.step))} />
      <Part title="Where they end" margin>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Run</th>
                <th>Status</th>
                <th class="num">Step</th>
                <th class="num">Loss</th>
                <th class="num">Tokens/s</th>
              </tr>
            </thead>
            <tbody>
              {runs.map(({ summary, tokensPerSecond }, i) => (
                <tr key={summary.id}>
                  <td>
                    <span class={`swatch t${i + 1}`} />
                    <a href={link("run", summary.id)}>{names[i]}</a>
                  </td>
                  <td>
                    <Status of={summary.status} />
                  </td>
                  <td class="num">{count(summary.step)}</td>
                  <td class="num">{number(summary.loss)}</td>
                  <td class="num">{count(tokensPerSecond)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Part>
      <ComparedSamples runs={runs} names={names} />
      <Differences runs={runs} names={names} />
    </Page>
  );
}

function Overlay({ ids, names, steps }: { ids: string[]; names: string[]; steps: number }) {
  const [range, setRange] = useState<Window["range"]>();
  const [smoothing, setSmoothing] = useState<number>();
  const [log, setLog] = useState(false);
  const [find, setFind] = useState("");
  const smooth = smoothing ?? usualSmoothing(steps);
  // One grid for all, so that a column of the chart means the same steps in each.
  const all = range ?? { from: 1, to: Math.max(1, steps) };
  const replies = useEach(ids, { range: all, smooth });
  const there = replies.filter((reply) => reply !== undefined);
  const x = there[0]?.x ?? [];
  const zoom = (from: number, to: number) =>
    setRange({ from: Math.max(0, Math.floor(from)), to: Math.ceil(to) });
  const lines = (key: string) =>
    replies.flatMap((reply, i) =>
      reply === undefined || reply.series[key] === undefined ? [] : [plain(reply, key, names[i]!, i + 1)],
    );
  const keys = [...new Set(there.flatMap(({ series }) => Object.keys(series)))];
  const found = keys.filter((key) => key !== "loss" && isFound(titleOf(key), [key], find));
  const shown = found.slice(0, MOST_CHARTS);
  const common = { x, sync: "compare", onZoom: zoom, onReset: () => setRange(undefined) };
  return (
    <>
      <CurveControls
        window={{ range, smooth }}
        hint="Drag over a chart to look closer."
        onSmooth={setSmoothing}
        log={log}
        onLog={setLog}
        find={find}
        onFind={setFind}
        onReset={() => setRange(undefined)}
      />
      {isFound("Loss", [], find) && (
        <Chart
          {...common}
          title="Loss"
          unit="nats per trained token"
          lines={lines("loss")}
          height={300}
          log={log}
        />
      )}
      <div class="charts">
        {shown.map((key) => (
          <Chart key={key} {...common} title={titleOf(key)} lines={lines(key)} />
        ))}
      </div>
      {shown.length < found.length && (
        <p class="soft">
          {shown.length} of {found.length} curves: find the others by their name.
        </p>
      )}
    </>
  );
}

const TITLES: Record<string, string> = {
  lr: "Learning rate",
  grad_norm: "Gradient norm",
  tokens_per_second: "Tokens/s",
};

const MOST_CHARTS = 24;

function titleOf(key: string): string {
  return TITLES[key] ?? key.replace(/^source\//, "Loss of ");
}

/** One reply a run, asked for together, so that all stand on the same grid. */
function useEach(ids: string[], { range, smooth }: Window): (SeriesReply | undefined)[] {
  const query = { points: 700, smooth, from: range?.from, to: range?.to };
  const { value, reload } = useLoad(`${ids.join("\n")} ${JSON.stringify(query)}`, (signal) =>
    Promise.all(ids.map((id) => get<SeriesReply>(`runs/${part(id)}/series`, query, signal))),
  );
  useEvery(2000, reload, value?.some(({ status }) => status === "running") ?? false);
  return value ?? [];
}

/** Over each other, bands and raw values would hide the lines. */
function plain(reply: SeriesReply, key: string, name: string, tint: number) {
  const line = lineOf(reply, key, name, tint, key !== "lr")!;
  return { ...line, behind: undefined, low: undefined, high: undefined };
}

function Differences({ runs, names }: { runs: RunDetail[]; names: string[] }) {
  const keys = [...new Set(runs.flatMap(({ settings }) => settings.map(({ key }) => key)))];
  const valueIn = (run: RunDetail, key: string) => run.settings.find((one) => one.key === key)?.value;
  // Every run has a folder of its own.
  const differing = keys.filter(
    (key) => key !== "out" && new Set(runs.map((run) => valueIn(run, key))).size > 1,
  );
  return (
    <Part
      title="Settings that differ"
      margin
      note={`${keys.filter((key) => key !== "out").length - differing.length} others are the same.`}
    >
      {differing.length === 0 ? (
        <p class="soft">None.</p>
      ) : (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Setting</th>
                {names.map((name, i) => (
                  <th key={name}>
                    <span class={`swatch t${i + 1}`} />
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {differing.map((key) => (
                <tr key={key}>
                  <td class="soft">{key}</td>
                  {runs.map((run) => (
                    <td key={run.summary.id} class="text">
                      {valueIn(run, key) ?? <span class="soft">not a setting</span>}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Part>
  );
}

/** The last part of each id, or more where two end alike. */
function shortNames(ids: string[]): string[] {
  const names = ids.map((id) => splitId(id).name);
  return ids.map((id, i) => (names.filter((name) => name === names[i]).length > 1 ? id : names[i]!));
}
