import { type Catalog, type EvalSummary, type FlipsReply, get } from "../api.ts";
import { count } from "../format.ts";
import { useLoad } from "../hooks.ts";
import { Failure, Figures, Page } from "../parts/blocks.tsx";
import { link, type Route, setQuery } from "../router.tsx";
import { FlipDrawer } from "./flip-drawer.tsx";
import { shortModel } from "./score-table.tsx";

/** Two evaluations, item by item: what the second gained and what it lost. */
export function FlipsView({ route, catalog }: { route: Route; catalog: Catalog }) {
  const [a, b] = ["a", "b"].map((side) => catalog.evals.find(({ id }) => id === route.query.get(side)));
  const over = <a href={link("evals")}>Evals</a>;
  if (a === undefined || b === undefined) {
    return (
      <Page over={over} title="Flips">
        <p class="empty">Tick two evaluations in the table to see which items they answer differently.</p>
      </Page>
    );
  }
  const shared = a.tasks.filter(({ key }) => b.tasks.some((task) => task.key === key));
  const task = shared.find(({ key }) => key === route.query.get("task")) ?? shared[0];
  return (
    <Page
      over={over}
      title={`${shortModel(a.model)} → ${shortModel(b.model)}`}
      lead="Items whose verdict differs. The same items for both, so what makes an item hard cancels out."
    >
      {task === undefined ? (
        <p class="empty">The two have no task in common.</p>
      ) : (
        <>
          <div class="fields">
            <label>
              Task
              <select
                value={task.key}
                onChange={(event) => setQuery({ task: event.currentTarget.value, flip: undefined })}
              >
                {shared.map(({ key, title }) => (
                  <option key={key} value={key}>
                    {title}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" onClick={() => setQuery({ a: b.id, b: a.id, flip: undefined })}>
              Turn round
            </button>
          </div>
          <FlipsOf a={a} b={b} task={task.key} route={route} />
        </>
      )}
    </Page>
  );
}

function FlipsOf({ a, b, task, route }: { a: EvalSummary; b: EvalSummary; task: string; route: Route }) {
  const { value, error } = useLoad(`flips ${a.id} ${b.id} ${task}`, (signal) =>
    get<FlipsReply>("evals/flips", { a: a.id, b: b.id, task }, signal),
  );
  if (value === undefined) return error ? <Failure of={error} /> : <div aria-busy="true" />;
  const kind = route.query.get("kind") ?? "";
  const shown = value.flips.filter((flip) => kind === "" || flip.kind === kind);
  const open = value.flips.find(({ id }) => id === route.query.get("flip"));
  const to = (by: number) => {
    const other = open === undefined ? undefined : shown[shown.indexOf(open) + by];
    return other === undefined ? undefined : () => setQuery({ flip: other.id });
  };
  const sign = value.difference > 0 ? "+" : "";
  return (
    <>
      <Figures
        of={[
          [
            "difference",
            `${sign}${value.difference.toFixed(1)}`,
            `points, 95 % ${value.interval[0].toFixed(1)} to ${value.interval[1].toFixed(1)}`,
          ],
          ["p", value.p < 0.001 ? "<0.001" : value.p.toFixed(3)],
          ["items in both", count(value.both)],
          ["gained", count(value.gained)],
          ["lost", count(value.lost)],
          ["right in both", count(value.bothRight)],
          ["wrong in both", count(value.bothWrong)],
        ]}
      />
      {value.onlyA + value.onlyB > 0 && (
        <p class="soft">{`${count(value.onlyA)} items only in the first, ${count(value.onlyB)} only in the second: left out.`}</p>
      )}
      <div class="fields">
        <label>
          Show
          <select value={kind} onChange={(event) => setQuery({ kind: event.currentTarget.value })}>
            <option value="">gained and lost</option>
            <option value="gained">gained</option>
            <option value="lost">lost</option>
          </select>
        </label>
      </div>
      {shown.length === 0 ? (
        <p class="empty">No item flipped.</p>
      ) : (
        <div class="scroll">
          <table class="wide flips">
            <thead>
              <tr>
                <th>Flip</th>
                <th>Item</th>
                <th>{shortModel(a.model)} said</th>
                <th>{shortModel(b.model)} said</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((flip) => (
                <tr key={flip.id} class="go" onClick={() => setQuery({ flip: flip.id })}>
                  <td class={flip.kind === "gained" ? "verdict right" : "verdict wrong"}>{flip.kind}</td>
                  <td class="text">
                    <button type="button" class="plain" onClick={() => setQuery({ flip: flip.id })}>
                      <small class="soft">{flip.group || flip.id}</small> {flip.prompt.slice(-140)}
                    </button>
                  </td>
                  <td class="text">{(flip.a.extracted ?? flip.a.output).slice(0, 120)}</td>
                  <td class="text">{(flip.b.extracted ?? flip.b.output).slice(0, 120)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {open && (
        <FlipDrawer
          sides={[a, b].map(({ id, model }) => ({ id, name: shortModel(model) }))}
          task={task}
          flip={open}
          before={to(-1)}
          next={to(1)}
          onClose={() => setQuery({ flip: undefined })}
        />
      )}
    </>
  );
}
