import { useState } from "preact/hooks";
import type { Catalog, RunSummary } from "../api.ts";
import { count, moment, number, splitId } from "../format.ts";
import { Note, Page, Spark, Status } from "../parts/blocks.tsx";
import { link } from "../router.tsx";

export function RunsView({ catalog }: { catalog: Catalog }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [words, setWords] = useState("");
  const runs = catalog.runs.filter((run) =>
    `${run.id} ${run.recipe} ${run.status} ${run.model}`.toLowerCase().includes(words.toLowerCase()),
  );
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
            <span class="soft">{chosen.size < 2 && "Tick two or more to lay them over each other."}</span>
          </div>
          <div class="scroll">
            <table class="wide runs-table">
              <thead>
                <tr>
                  <th>
                    <span class="hidden">Compare</span>
                  </th>
                  <th>Run</th>
                  <th class="wide-only">Status</th>
                  <th class="num">Step</th>
                  <th class="num">Loss</th>
                  <th class="wide-only">Course</th>
                  <th class="wide-only">Model</th>
                  <th class="num wide-only">Changed</th>
                </tr>
              </thead>
              <tbody>
                {runs.map((run) => (
                  <Row key={run.id} run={run} chosen={chosen.has(run.id)} onChoose={() => choose(run.id)} />
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </Page>
  );
}

function Row({ run, chosen, onChoose }: { run: RunSummary; chosen: boolean; onChoose: () => void }) {
  const { name, folder } = splitId(run.id);
  const address = link("run", run.id);
  const open = (event: MouseEvent) => {
    if (!(event.target as HTMLElement).closest("a, input")) location.hash = address;
  };
  return (
    <tr class={`go${chosen ? " on" : ""}`} onClick={open}>
      <td>
        <input type="checkbox" checked={chosen} onChange={onChoose} aria-label={`Compare ${run.id}`} />
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
