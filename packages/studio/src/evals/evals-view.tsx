import { useState } from "preact/hooks";
import type { Catalog } from "../api.ts";
import { count } from "../format.ts";
import { Page, Part } from "../parts/blocks.tsx";
import { link, type Route, setQuery } from "../router.tsx";
import { EvalDetailView } from "./eval-detail.tsx";
import { FlipsView } from "./flips-view.tsx";
import { Radar } from "./radar.tsx";
import { ScoreTable } from "./score-table.tsx";

export function EvalsView({ route, catalog }: { route: Route; catalog: Catalog }) {
  if (route.id === "flips") return <FlipsView route={route} catalog={catalog} />;
  if (route.id !== "") return <EvalDetailView key={route.id} route={route} />;
  return <EvalTable catalog={catalog} route={route} />;
}

/** All evaluations in one table, as papers have it; a few of them as shapes, and two of them item by item. */
function EvalTable({ catalog, route }: { catalog: Catalog; route: Route }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const table = Number(route.query.get("table") ?? 0);
  if (catalog.evals.length === 0) {
    return (
      <Page title="Evals">
        <div class="empty">
          No evaluation in these folders yet.
          <pre>camelid eval --model out/first/final --tasks all --data DIR --out out/first-eval</pre>
        </div>
      </Page>
    );
  }
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const shown =
    chosen.size > 0 ? catalog.evals.filter(({ id }) => chosen.has(id)) : catalog.evals.slice(0, 5);
  return (
    <Page
      title="Evals"
      lead={`${count(catalog.evals.length)} evaluations. Small numbers are 95 % intervals.`}
    >
      <div class="fields">
        <label>
          Beside
          <select
            value={table}
            onChange={(event) =>
              setQuery({ table: event.currentTarget.value === "0" ? undefined : event.currentTarget.value })
            }
          >
            <option value={0}>nothing published</option>
            {[1, 2, 5, 6].map((number) => (
              <option key={number} value={number}>
                Tülu 2, table {number}
              </option>
            ))}
          </select>
        </label>
        <button type="button" disabled={chosen.size !== 2} onClick={() => openFlips([...chosen])}>
          Compare items of two
        </button>
        <span class="soft">
          {chosen.size === 2 ? "" : "Tick two to see which items they answer differently."}
        </span>
      </div>
      <ScoreTable evals={catalog.evals} chosen={chosen} onChoose={toggle} table={table} />
      <Part
        title="Shapes"
        margin
        note="Every axis from 0 to 100; tasks where less is better are turned round."
      >
        <Radar evals={shown} />
      </Part>
    </Page>
  );
}

function openFlips([a, b]: string[]): void {
  location.hash = link("evals", "flips", { a, b });
}
