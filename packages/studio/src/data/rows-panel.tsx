import { useState } from "preact/hooks";
import {
  type Catalog,
  get,
  type ListedRow,
  part,
  type RowsOverview,
  type RowsReply,
  type RowView,
} from "../api.ts";
import { compact, count, percent, plural } from "../format.ts";
import { useEvery, useKept, useLoad, useRested } from "../hooks.ts";
import { Failure } from "../parts/blocks.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { RowPanel } from "../parts/row-view.tsx";
import { PAGE, VirtualList } from "../parts/virtual-list.tsx";
import { type Route, setQuery } from "../router.tsx";

type Sort = "place" | "dataset" | "turns" | "chars";

/** Every row of the data: searched, sorted, opened. */
export function RowsPanel({ id, route, catalog }: { id: string; route: Route; catalog: Catalog }) {
  const [words, setWords] = useState(route.query.get("words") ?? "");
  const rested = useRested(words, 10);
  const dataset = route.query.get("dataset") ?? "";
  const sort = (route.query.get("sort") ?? "place") as Sort;
  const order = route.query.get("order") ?? "asc";
  const open = route.query.get("row");
  const query = { dataset, words: rested, sort, order };
  const question = JSON.stringify([id, query]);
  const overview = useLoad(`overview ${id}`, (signal) =>
    get<RowsOverview>(`data/${part(id)}/overview`, {}, signal),
  );
  const state = overview.value?.state;
  useEvery(500, overview.reload, state === undefined || state.kind === "reading");
  const first = useLoad(question, (signal) =>
    get<RowsReply>(`data/${part(id)}/rows`, { ...query, limit: PAGE }, signal),
  );
  // Asked again when the table has been made, and while a search goes on.
  const searching = first.value?.partial === true && state?.kind === "ready";
  useEvery(150, first.reload, searching);
  const total = first.value?.total ?? first.value?.rows.length ?? 0;
  const load = async (offset: number, limit: number, signal: AbortSignal) =>
    (await get<RowsReply>(`data/${part(id)}/rows`, { ...query, offset, limit }, signal)).rows;
  const order_ = (key: Sort) =>
    setQuery({ sort: key, order: sort === key && order === "asc" ? "desc" : "asc" });
  return (
    <>
      <div class="fields">
        <input
          type="search"
          style={{ flex: "1 1 16rem", maxWidth: "28rem" }}
          placeholder="Find words in any text, or an id"
          aria-label="Find rows"
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
        <label>
          Source
          <select value={dataset} onChange={(event) => setQuery({ dataset: event.currentTarget.value })}>
            <option value="">all</option>
            {overview.value?.datasets.map(({ name, rows }) => (
              <option key={name} value={name}>
                {name} ({count(rows)})
              </option>
            ))}
          </select>
        </label>
        <span class="soft" role="status">
          {first.value === undefined
            ? "…"
            : first.value.total === null
              ? ""
              : searching
                ? `${plural(first.value.total, "row")} so far; reading every text …`
                : plural(first.value.total, "row")}
          {state?.kind === "reading" &&
            ` reading the file into a table, ${percent(state.share, 0)}; search and sort come then`}
        </span>
      </div>
      {first.error && <Failure of={first.error} />}
      {state?.kind === "failed" && (
        <Failure of={{ message: `The rows cannot be put into a table: ${state.message}` }} />
      )}
      <div class="list-head rows-grid">
        <Head name="Row" sort="place" now={sort} order={order} onSort={order_} />
        <Head name="Source" sort="dataset" now={sort} order={order} onSort={order_} wide />
        <span>Begins</span>
        <Head name="Turns" sort="turns" now={sort} order={order} onSort={order_} wide num />
        <Head name="Characters" sort="chars" now={sort} order={order} onSort={order_} num />
      </div>
      {total === 0 && first.value !== undefined && !first.value.partial ? (
        <p class="empty">No row {rested === "" ? "" : `holds “${rested}”`}.</p>
      ) : (
        <VirtualList<ListedRow>
          label="Rows"
          total={total}
          height={Math.max(300, innerHeight - 280)}
          question={first.of}
          version={`${first.value?.partial} ${total}`}
          first={first.value?.rows ?? []}
          load={load}
          columns="rows-grid"
          selected={undefined}
          onOpen={({ place }) => setQuery({ row: String(place) })}
          row={({ place, dataset: source, preview, turns, chars }) => (
            <>
              <span class="soft">{count(place + 1)}</span>
              <span class="soft wide-only">{source}</span>
              <span>
                <Marked text={preview} words={rested} />
              </span>
              <span class="num wide-only">{turns ?? ""}</span>
              <span class="num">{chars === null ? "" : compact(chars)}</span>
            </>
          )}
        />
      )}
      {open !== null && (
        <DataRow
          id={id}
          place={Number(open)}
          total={state?.kind === "ready" ? state.rows : undefined}
          catalog={catalog}
        />
      )}
    </>
  );
}

function Head(props: {
  name: string;
  sort: Sort;
  now: Sort;
  order: string;
  onSort: (sort: Sort) => void;
  wide?: boolean;
  num?: boolean;
}) {
  const here = props.now === props.sort;
  return (
    <button
      type="button"
      class={`${props.wide ? "wide-only " : ""}${props.num ? "num" : ""}`}
      onClick={() => props.onSort(props.sort)}
      aria-label={`Sort by ${props.name}`}
    >
      {props.name} {here ? (props.order === "asc" ? "↑" : "↓") : ""}
    </button>
  );
}

export function Marked({ text, words }: { text: string; words: string }) {
  const at = words === "" ? -1 : text.toLowerCase().indexOf(words.toLowerCase());
  if (at < 0) return <>{text}</>;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + words.length)}</mark>
      {text.slice(at + words.length)}
    </>
  );
}

function DataRow({
  id,
  place,
  total,
  catalog,
}: {
  id: string;
  place: number;
  total: number | undefined;
  catalog: Catalog;
}) {
  const [kept, keep] = useKept("tokenizer", "");
  const model = catalog.models.some((one) => one.id === kept) ? kept : (catalog.models[0]?.id ?? "");
  const { value, error } = useLoad(`${id} ${place} ${model}`, (signal) =>
    get<RowView>(`data/${part(id)}/rows/${place}`, { model }, signal),
  );
  const go = (to: number) => setQuery({ row: String(to) });
  return (
    <Drawer
      title={`Row ${count(place + 1)}`}
      label={`Row ${place + 1}`}
      onClose={() => setQuery({ row: undefined })}
      what="row"
      before={place > 0 ? () => go(place - 1) : undefined}
      next={total === undefined || place + 1 < total ? () => go(place + 1) : undefined}
    >
      {value && (
        <p class="soft">
          {[value.dataset, value.id, value.kind === "pairs" ? "a pair" : ""].filter(Boolean).join(" · ")}
        </p>
      )}
      {value?.origin && <p class="soft">made of {value.origin}</p>}
      <div class="fields">
        <label>
          Tokens of
          <select value={model} onChange={(event) => keep(event.currentTarget.value)}>
            {catalog.models.length === 0 && <option value="">no model in these folders</option>}
            {catalog.models.map((one) => (
              <option key={one.id} value={one.id}>
                {one.id}
              </option>
            ))}
          </select>
        </label>
      </div>
      {error && <Failure of={error} />}
      {value && value.place === place && <RowPanel row={value} />}
    </Drawer>
  );
}
