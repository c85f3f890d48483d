import { useState } from "preact/hooks";
import { get, part, post, RequestFailed, type RowsOverview, type SqlReply } from "../api.ts";
import { count } from "../format.ts";
import { useEvery, useLoad } from "../hooks.ts";
import { Failure } from "../parts/blocks.tsx";
import { link } from "../router.tsx";

const NUMERIC = /INT|DOUBLE|FLOAT|DECIMAL/;

const EXAMPLES = [
  {
    name: "rows and words by source",
    sql: "SELECT dataset, count(*) AS rows, round(avg(length(answer))) AS answer_chars\nFROM rows GROUP BY dataset ORDER BY rows DESC",
  },
  {
    name: "longest answers",
    sql: "SELECT rowid, dataset, id, length(answer) AS chars, beginning\nFROM rows ORDER BY chars DESC LIMIT 50",
  },
  {
    name: "answers that refuse",
    sql: "SELECT rowid, dataset, left(answer, 160) AS answer\nFROM rows WHERE answer ILIKE 'I''m sorry%' OR answer ILIKE 'As an AI%' LIMIT 200",
  },
  {
    name: "prompts said more than once",
    sql: "SELECT count(*) AS times, left(prompt, 160) AS prompt\nFROM rows GROUP BY prompt HAVING times > 1 ORDER BY times DESC LIMIT 100",
  },
  {
    name: "what became of raw rows",
    sql: "SELECT source, fate, count(*) AS entries, sum(row_end - row) AS rows\nFROM lineage GROUP BY ALL ORDER BY ALL",
  },
] as const;

/** SQL over the rows, read-only. */
export function SqlPanel({ id }: { id: string }) {
  const [sql, setSql] = useState<string>(EXAMPLES[0].sql);
  const [answer, setAnswer] = useState<SqlReply | RequestFailed>();
  const [asking, setAsking] = useState(false);
  const overview = useLoad(`overview ${id}`, (signal) =>
    get<RowsOverview>(`data/${part(id)}/overview`, {}, signal),
  );
  const state = overview.value?.state.kind;
  useEvery(500, overview.reload, state === undefined || state === "reading");
  const ask = async (text: string) => {
    setAsking(true);
    setAnswer(
      await post<SqlReply>(`data/${part(id)}/sql`, { sql: text }).catch((error: unknown) =>
        error instanceof RequestFailed ? error : undefined,
      ),
    );
    setAsking(false);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void ask(sql);
  };
  const hasLineage = overview.value?.tables.some(({ name }) => name === "lineage") ?? false;
  return (
    <div class="sql">
      <div>
        <label class="hidden" for="sql">
          Query
        </label>
        <textarea
          id="sql"
          class="code"
          rows={6}
          spellcheck={false}
          value={sql}
          onInput={(event) => setSql(event.currentTarget.value)}
          onKeyDown={onKey}
        />
        <div class="fields" style={{ marginTop: "0.6rem" }}>
          <button
            type="button"
            class="main"
            disabled={asking || state !== "ready"}
            onClick={() => void ask(sql)}
          >
            {asking ? "Asking …" : "Ask"}
          </button>
          <span class="soft">
            <kbd>Ctrl</kbd> <kbd>Enter</kbd>
          </span>
          {answer !== undefined && !(answer instanceof RequestFailed) && (
            <span class="soft" role="status">
              {count(answer.rows.length)}
              {answer.more ? " rows shown, there are more" : answer.rows.length === 1 ? " row" : " rows"},{" "}
              {Math.max(1, Math.round(answer.ms))} ms
            </span>
          )}
        </div>
        {answer instanceof RequestFailed && <Failure of={answer} />}
        {answer !== undefined && !(answer instanceof RequestFailed) && <Answer id={id} of={answer} />}
      </div>
      <aside>
        <h3>Tables</h3>
        {overview.value?.tables.map(({ name, columns, rows }) => (
          <details key={name} open={name === "rows"}>
            <summary>
              <code>{name}</code> <span class="soft">{count(rows)} rows</span>
            </summary>
            <ul class="soft">
              {name === "rows" && (
                <li>
                  <code>rowid</code> place in the file, from 0
                </li>
              )}
              {columns.map((column) => (
                <li key={column.name}>
                  <code>{column.name}</code> {column.type.toLowerCase()}
                </li>
              ))}
            </ul>
          </details>
        ))}
        <h3 style={{ marginTop: "1rem" }}>Questions</h3>
        <ul>
          {EXAMPLES.filter(({ sql: text }) => hasLineage || !text.includes("lineage")).map((example) => (
            <li key={example.name}>
              <button
                type="button"
                class="bare"
                onClick={() => {
                  setSql(example.sql);
                  void ask(example.sql);
                }}
              >
                {example.name}
              </button>
            </li>
          ))}
        </ul>
      </aside>
    </div>
  );
}

function Answer({ id, of: { columns, rows } }: { id: string; of: SqlReply }) {
  const place = columns.findIndex(({ name }) => name === "rowid");
  return (
    <div class="scroll" style={{ maxHeight: "60vh", overflowY: "auto" }}>
      <table class="wide">
        <thead>
          <tr>
            {columns.map(({ name, type }) => (
              <th key={name} title={type} class={NUMERIC.test(type) ? "num" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((value, column) => (
                <td key={column} class={typeof value === "number" ? "num" : "text"}>
                  {value === null ? (
                    <span class="soft">null</span>
                  ) : column === place ? (
                    <a href={link("data", id, { tab: "rows", row: String(value) })}>
                      {count(Number(value) + 1)}
                    </a>
                  ) : typeof value === "number" ? (
                    value.toLocaleString("en", { maximumFractionDigits: 6 })
                  ) : (
                    String(value)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
