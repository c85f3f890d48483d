import { useState } from "preact/hooks";
import type { Catalog, RunSummary } from "../api.ts";
import { count, moment, number, plural, splitId } from "../format.ts";
import { Note, Page, Spark, Status } from "../parts/blocks.tsx";
import { link } from "../router.tsx";
import { MOST_COMPARED } from "./compare-view.tsx";

export function RunsView({ catalog }: { catalog: Catalog }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [words, setWords] = useState("");
  const [sort, setSort] = useState<Sort>({ by: "changed", descending: true });
  const runs = catalog.runs.filter((run) =>
    `${run.id} ${run.recipe} ${run.status} ${run.model}`.toLowerCase().includes(words.toLowerCase()),
  );
  const sorted = sortedRuns(runs, sort);
  const full = chosen.size >= MOST_COMPARED;
  const running = catalog.runs.filter(({ status }) => status === "running").length;
  const choose = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return (
    <Page
      title="Runs"
      lead={`${count(catalog.runs.length)} ${catalog.runs.length === 1 ? "run" : "runs"} in ${catalog.roots.map(({ label }) => label).join(", ")}${running > 0 ? `, ${running} going on now` : ""}.`}
      actions={
        <a class="button main" href={link("train")}>
          New run
        </a>
      }
    >
      {catalog.notes.map((note) => (
        <Note key={note} tone="warn">
          {note}
        </Note>
      ))}
      {catalog.runs.length === 0 ? (
        <div class="empty">
          No run yet in {catalog.roots.map(({ path }) => path).join(", ")}. Start one here, or on the command
          line:
          <pre>camelid sft --model MODEL --data rows.jsonl --out out/first</pre>
        </div>
      ) : (
        <>
          <div class="fields">
            <input
              type="search"
              placeholder="Find a run"
              aria-label="Find a run"
              value={words}
              onInput={(event) => setWords(event.currentTarget.value)}
            />
            <button
              type="button"
              disabled={chosen.size < 2}
              onClick={() => {
                location.hash = link("compare", "", { runs: [...chosen].join("\n") });
              }}
            >
              Compare {chosen.size > 1 ? chosen.size : ""}
            </button>
            <span class="soft" role="status">
              {chosen.size < 2
                ? "Tick two or more to lay them over each other."
                : full
                  ? `${MOST_COMPARED} at most.`
                  : ""}
              {words !== "" && ` ${plural(runs.length, "run")} found.`}
            </span>
          </div>
          <div class="scroll">
            <table class="wide runs-table">
              <thead>
                <tr>
                  <th>
                    <span class="hidden">Compare</span>
                  </th>
                  <Head name="Run" by="name" sort={sort} onSort={setSort} />
                  <th class="wide-only">Status</th>
                  <Head name="Step" by="step" sort={sort} onSort={setSort} class="num" />
                  <Head name="Loss" by="loss" sort={sort} onSort={setSort} class="num" />
                  <th class="wide-only">Course</th>
                  <th class="wide-only">Model</th>
                  <Head name="Changed" by="changed" sort={sort} onSort={setSort} class="num wide-only" />
                </tr>
              </thead>
              <tbody>
                {sorted.map((run) => (
                  <Row
                    key={run.id}
                    run={run}
                    chosen={chosen.has(run.id)}
                    full={full}
                    onChoose={() => choose(run.id)}
                  />
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </Page>
  );
}

interface Sort {
  by: "name" | "step" | "loss" | "changed";
  descending: boolean;
}

/** A loss that is no number comes last, whichever way. */
function sortedRuns(runs: readonly RunSummary[], { by, descending }: Sort): RunSummary[] {
  const sign = descending ? -1 : 1;
  const value = ({ step, loss }: RunSummary) =>
    by === "step" ? step : typeof loss === "number" ? loss : sign * Number.POSITIVE_INFINITY;
  const text = (run: RunSummary) => (by === "name" ? splitId(run.id).name : run.changedAt);
  return [...runs].sort((a, b) =>
    by === "name" || by === "changed"
      ? sign * text(a).localeCompare(text(b), "en", { numeric: true })
      : sign * (value(a) - value(b) || 0),
  );
}

function Head(props: {
  name: string;
  by: Sort["by"];
  sort: Sort;
  onSort: (sort: Sort) => void;
  class?: string;
}) {
  const { name, by, sort, onSort } = props;
  const here = sort.by === by;
  // The newest first, the lowest loss first.
  const descending = here ? !sort.descending : by === "changed" || by === "step";
  return (
    <th class={props.class ?? ""} aria-sort={!here ? "none" : sort.descending ? "descending" : "ascending"}>
      <button type="button" onClick={() => onSort({ by, descending })}>
        {name}
        {here && (sort.descending ? " ↓" : " ↑")}
      </button>
    </th>
  );
}

function Row({
  run,
  chosen,
  full,
  onChoose,
}: {
  run: RunSummary;
  chosen: boolean;
  full: boolean;
  onChoose: () => void;
}) {
  const { name, folder } = splitId(run.id);
  const address = link("run", run.id);
  const open = (event: MouseEvent) => {
    if (!(event.target as HTMLElement).closest("a, input")) location.hash = address;
  };
  return (
    <tr class={`go${chosen ? " on" : ""}`} onClick={open}>
      <td>
        <input
          type="checkbox"
          checked={chosen}
          disabled={full && !chosen}
          onChange={onChoose}
          aria-label={`Compare ${run.id}`}
        />
      </td>
      <td>
        <span class="name">
          <a href={address}>{name}</a>
          <small>{[run.recipe, folder].filter(Boolean).join(" · ")}</small>
          <span class="narrow-only">
            <Status of={run.status} />
          </span>
        </span>
      </td>
      <td class="wide-only">
        <Status of={run.status} />
      </td>
      <td class="num">
        {count(run.step)}
        {run.totalSteps !== null && <span class="soft"> / {count(run.totalSteps)}</span>}
        {run.status === "running" && run.totalSteps ? (
          <span class="progress" aria-hidden="true">
            <i style={{ width: `${(100 * run.step) / run.totalSteps}%` }} />
          </span>
        ) : null}
      </td>
      <td class="num">{number(run.loss)}</td>
      <td class="wide-only">
        <Spark of={run.sparkline} />
      </td>
      <td class="wide-only soft">{run.model === null ? "–" : splitId(run.model).name}</td>
      <td class="num soft wide-only">{moment(run.changedAt)}</td>
    </tr>
  );
}
