import { type EvalSummary, get, type PublishedScores } from "../api.ts";
import { useLoad } from "../hooks.ts";
import { link } from "../router.tsx";

type Score = EvalSummary["tasks"][number];

/** Rows are models, columns tasks; the best of each column is bold. */
export function ScoreTable(props: {
  evals: readonly EvalSummary[];
  chosen: ReadonlySet<string>;
  onChoose: (id: string) => void;
  table: number;
}) {
  const { evals, chosen, onChoose, table } = props;
  const published = useLoad(table === 0 ? "" : "published", (signal) =>
    get<PublishedScores>("evals/published", {}, signal),
  );
  const columns = columnsOf(evals, published.value);
  const rows = published.value?.tables.find(({ number }) => number === table && table !== 0)?.rows ?? [];
  const best = new Map(columns.map(({ key, lowerIsBetter }) => [key, bestOf(evals, key, lowerIsBetter)]));
  return (
    <div class="scroll">
      <table class="scores">
        <thead>
          <tr>
            <th>
              <span class="hidden">Compare</span>
            </th>
            <th>Model</th>
            {columns.map(({ key, title, lowerIsBetter }) => (
              <th key={key} class="num">
                {title}
                {lowerIsBetter && <small title="less is better"> ↓</small>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {evals.map((one) => (
            <tr key={one.id} class={chosen.has(one.id) ? "on" : ""}>
              <td>
                <input
                  type="checkbox"
                  checked={chosen.has(one.id)}
                  onChange={() => onChoose(one.id)}
                  aria-label={`Compare ${one.id}`}
                />
              </td>
              <td class="model">
                <a href={link("evals", one.id)} title={one.model}>
                  {shortModel(one.model)}
                </a>
                <small class="soft">{one.id}</small>
              </td>
              {columns.map(({ key }) => (
                <td key={key} class="num">
                  <Cell score={one.tasks.find((task) => task.key === key)} best={best.get(key)} />
                </td>
              ))}
            </tr>
          ))}
          {rows.length > 0 && (
            <tr class="heading">
              <td />
              <td colSpan={columns.length + 1}>As published: Tülu 2, table {table}</td>
            </tr>
          )}
          {rows.map(({ model, scores }) => (
            <tr key={model} class="published">
              <td />
              <td class="model">{model}</td>
              {columns.map(({ key }) => (
                <td key={key} class="num soft">
                  {scores[key]?.toFixed(1) ?? ""}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ score, best }: { score: Score | undefined; best: number | undefined }) {
  if (score === undefined) return null;
  if (score.score === null) return <span class="soft">–</span>;
  const shown = score.score.toFixed(score.unit === "%" ? 1 : 2);
  return (
    <>
      {score.score === best ? <b>{shown}</b> : shown}
      {score.interval && (
        <small class="soft interval">
          {score.interval[0].toFixed(1)}–{score.interval[1].toFixed(1)}
        </small>
      )}
    </>
  );
}

function columnsOf(
  evals: readonly EvalSummary[],
  published: PublishedScores | undefined,
): { key: string; title: string; lowerIsBetter: boolean }[] {
  const own = new Map(
    evals.flatMap(({ tasks }) =>
      tasks.map(
        ({ key, title, lowerIsBetter }) =>
          [key, { key, title: keyTitle(key, title), lowerIsBetter }] as const,
      ),
    ),
  );
  for (const { task, name } of published?.columns ?? [])
    if (!own.has(task)) own.set(task, { key: task, title: name, lowerIsBetter: task === "toxigen" });
  return [...own.values()];
}

/** A replay of several systems has a column for each. */
function keyTitle(key: string, title: string): string {
  return key.includes("@") ? `${title} ${key.slice(key.indexOf("@"))}` : title;
}

function bestOf(evals: readonly EvalSummary[], key: string, lowerIsBetter: boolean): number | undefined {
  const scores = evals.flatMap(({ tasks }) => tasks.find((task) => task.key === key)?.score ?? []);
  return scores.length < 2 ? undefined : lowerIsBetter ? Math.min(...scores) : Math.max(...scores);
}

/** Of a path, what tells models apart. */
export function shortModel(name: string): string {
  return name.startsWith("/") || name.startsWith("./") ? name.split("/").slice(-2).join("/") : name;
}
