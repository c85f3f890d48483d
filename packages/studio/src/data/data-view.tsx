import type { Catalog } from "../api.ts";
import { bytes, count, moment, splitId } from "../format.ts";
import { Page, Part, Tabs } from "../parts/blocks.tsx";
import { link, type Route } from "../router.tsx";
import { MixOverview } from "./mix-overview.tsx";
import { RowsPanel } from "./rows-panel.tsx";
import { RowsSummary } from "./rows-summary.tsx";
import { SqlPanel } from "./sql-panel.tsx";

export function DataPages({ route, catalog }: { route: Route; catalog: Catalog }) {
  if (route.id === "") return <DataList catalog={catalog} />;
  return <OneData key={route.id} route={route} catalog={catalog} />;
}

function OneData({ route, catalog }: { route: Route; catalog: Catalog }) {
  const { id } = route;
  const mix = catalog.mixes.find((one) => one.id === id);
  const kind = (mix ?? catalog.files.find((one) => one.id === id))?.kind;
  const { name, folder } = splitId(id);
  const tab = route.query.get("tab") ?? "overview";
  const tabs = [
    { key: "overview", name: "Overview", href: link("data", id) },
    { key: "rows", name: "Rows", count: mix?.rows, href: link("data", id, { tab: "rows" }) },
    { key: "sql", name: "SQL", href: link("data", id, { tab: "sql" }) },
  ];
  return (
    <Page
      over={
        <>
          <a href={link("data")}>Data</a> <span>{folder}</span>
        </>
      }
      title={mix?.name ?? name}
      actions={
        <a
          class="button main"
          href={link("train", "", { data: id, recipe: kind === "pairs" ? "dpo" : "sft" })}
        >
          Train on it
        </a>
      }
    >
      <Tabs label="What to see" tabs={tabs} current={tab} />
      {tab === "rows" ? (
        <RowsPanel id={id} route={route} catalog={catalog} />
      ) : tab === "sql" ? (
        <SqlPanel id={id} />
      ) : mix ? (
        <MixOverview id={id} />
      ) : (
        <RowsSummary id={id} />
      )}
    </Page>
  );
}

function DataList({ catalog }: { catalog: Catalog }) {
  return (
    <Page title="Data" lead="Mixtures that `camelid mix` made, and other files of rows.">
      <Part title="Mixtures">
        {catalog.mixes.length === 0 ? (
          <div class="empty">
            None yet.
            <pre>camelid mix --preset tulu2 --sources raw --out data/tulu2 --tokenizer MODEL</pre>
          </div>
        ) : (
          <table class="wide">
            <thead>
              <tr>
                <th>Mixture</th>
                <th class="num">Rows</th>
                <th class="num">Sources</th>
                <th>Kind</th>
                <th class="num">Made</th>
              </tr>
            </thead>
            <tbody>
              {catalog.mixes.map(({ id, name, rows, sources, madeAt, kind }) => (
                <tr key={id} class="go" onClick={() => go(id)}>
                  <td>
                    <a href={link("data", id)}>{name}</a> <small class="soft">{id}</small>
                  </td>
                  <td class="num">{count(rows)}</td>
                  <td class="num">{sources}</td>
                  <td class="soft">{kind}</td>
                  <td class="num soft">{moment(madeAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Part>
      {catalog.files.length > 0 && (
        <Part title="Files of rows">
          <table class="wide">
            <tbody>
              {catalog.files.map(({ id, kind, sizeBytes, changedAt }) => (
                <tr key={id} class="go" onClick={() => go(id)}>
                  <td>
                    <a href={link("data", id)}>{splitId(id).name}</a>{" "}
                    <small class="soft">{splitId(id).folder}</small>
                  </td>
                  <td class="soft">{kind}</td>
                  <td class="num">{bytes(sizeBytes)}</td>
                  <td class="num soft">{moment(changedAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Part>
      )}
    </Page>
  );
}

function go(id: string): void {
  location.hash = link("data", id);
}
