import { type EvalDetail, type EvalTask, get, part } from "../api.ts";
import { count, duration, moment, percent, splitId } from "../format.ts";
import { useLoad } from "../hooks.ts";
import { Failure, Figures, Note, Page, Part } from "../parts/blocks.tsx";
import { link, type Route } from "../router.tsx";
import { ItemsPanel } from "./items-panel.tsx";
import { shortModel } from "./score-table.tsx";

/** One evaluation: its scores, what went wrong, and every item. */
export function EvalDetailView({ route }: { route: Route }) {
  const { id } = route;
  const { value, error } = useLoad(`eval ${id}`, (signal) =>
    get<EvalDetail>(`evals/${part(id)}`, {}, signal),
  );
  const { folder } = splitId(id);
  const over = (
    <>
      <a href={link("evals")}>Evals</a> <span>{folder}</span>
    </>
  );
  if (value === undefined) {
    return (
      <Page over={over} title={splitId(id).name}>
        {error ? <Failure of={error} /> : <div aria-busy="true" />}
      </Page>
    );
  }
  const task = value.tasks.find(({ key }) => key === route.query.get("task"));
  return (
    <Page
      over={over}
      title={shortModel(value.summary.model)}
      lead={`${splitId(id).name} · profile ${value.profile} · seed ${value.seed} · ${moment(value.updated)}`}
    >
      {task === undefined ? <Overview of={value} /> : <TaskItems id={id} task={task} route={route} />}
    </Page>
  );
}

function Overview({ of }: { of: EvalDetail }) {
  const { id } = of.summary;
  const { seven, eight } = of.averages;
  return (
    <>
      {(seven !== undefined || eight !== undefined) && (
        <Figures
          of={[
            seven !== undefined && ["mean of seven", seven.toFixed(1), "as in tables 1 and 3"],
            eight !== undefined && ["mean of eight", eight.toFixed(1), "as in tables 2, 5 and 6"],
          ]}
        />
      )}
      {of.contaminationNote && (
        <Note tone={of.contamination.length > 0 ? "warn" : "good"}>
          {of.contaminationNote}{" "}
          {of.contamination.map(({ benchmark, rows }) => `${benchmark}: ${count(rows)} rows`).join(", ")}
        </Note>
      )}
      <div class="scroll">
        <table class="wide">
          <thead>
            <tr>
              <th>Task</th>
              <th class="num">Score</th>
              <th style={{ minWidth: "9rem" }}>95 % interval</th>
              <th class="num">Items</th>
              <th class="num">Right</th>
              <th class="num">No verdict</th>
              <th class="num">Nothing read out</th>
              <th class="num">Cut</th>
              <th class="num">Took</th>
            </tr>
          </thead>
          <tbody>
            {of.tasks.map((task) => (
              <tr key={task.key}>
                <td>
                  <a href={link("evals", id, { task: task.key })}>{task.title}</a>
                  {task.key.includes("@") && <small class="soft"> {task.key}</small>}
                </td>
                <td class="num">
                  <b>{task.score === null ? "–" : task.score.toFixed(task.unit === "%" ? 1 : 2)}</b>
                </td>
                <td>
                  <Whisker task={task} />
                </td>
                <td class="num">{count(task.items)}</td>
                <td class="num">{count(task.right)}</td>
                <td class="num">
                  {task.failed + task.skipped === 0 ? "" : count(task.failed + task.skipped)}
                </td>
                <td class="num">{task.extractionFailed === 0 ? "" : count(task.extractionFailed)}</td>
                <td class="num">{task.truncated === 0 ? "" : count(task.truncated)}</td>
                <td class="num soft">{duration(task.seconds * 1000)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p style={{ marginTop: "0.8rem" }} class="soft">
        Items without a verdict are in no score. Answers that were cut, or out of which nothing could be read,
        count as they stand.
      </p>
    </>
  );
}

function Whisker({ task: { score, interval, unit, lowerIsBetter } }: { task: EvalTask }) {
  if (score === null || interval === null) return null;
  const text = `${interval[0].toFixed(1)} to ${interval[1].toFixed(1)}`;
  if (unit !== "%") return <span class="soft">{text}</span>;
  return (
    <svg
      class="scale"
      viewBox="0 0 100 12"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${text}${lowerIsBetter ? ", less is better" : ""}`}
    >
      <title>{text}</title>
      <line class="ground" x1="0" x2="100" y1="6" y2="6" />
      <line class="interval" x1={interval[0]} x2={interval[1]} y1="6" y2="6" />
      <line class="rate" x1={score} x2={score} y1="1" y2="11" />
    </svg>
  );
}

function TaskItems({ id, task, route }: { id: string; task: EvalTask; route: Route }) {
  return (
    <>
      <p style={{ marginBottom: "0.8rem" }}>
        <a href={link("evals", id)}>All tasks</a>
      </p>
      <Figures
        of={[
          [
            task.title,
            task.score === null ? "–" : task.score.toFixed(1),
            task.unit === "%" ? `% ${task.metric}` : task.metric,
          ],
          task.interval !== null && [
            "95 % interval",
            `${task.interval[0].toFixed(1)} – ${task.interval[1].toFixed(1)}`,
          ],
          ["items", count(task.items)],
          ["right", count(task.right), percent(task.right / Math.max(1, task.items), 0)],
          task.upstream !== null && [
            "agree with stored verdicts",
            count(task.upstream.agree),
            `of ${count(task.upstream.compared)}`,
          ],
        ]}
      />
      {task.notes.map((note) => (
        <Note key={note}>{note}</Note>
      ))}
      {task.groups.length > 1 && (
        <Part title="Groups" margin>
          <details open={task.groups.length <= 12}>
            <summary class="soft">{task.groups.length} groups, best first</summary>
            <table>
              <tbody>
                {[...task.groups]
                  .sort((a, b) => b.score - a.score)
                  .map(({ name, score, items }) => (
                    <tr key={name}>
                      <td>
                        <a href={link("evals", id, { task: task.key, group: name })}>{name}</a>
                      </td>
                      <td class="num">{score.toFixed(1)}</td>
                      <td class="num soft">{count(items)} items</td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </details>
        </Part>
      )}
      <ItemsPanel id={id} task={task} route={route} />
    </>
  );
}
