import { get, part, type RowsOverview } from "../api.ts";
import { compact, count, percent } from "../format.ts";
import { useEvery, useLoad } from "../hooks.ts";
import { Bar, Failure, Figures, Part } from "../parts/blocks.tsx";
import { link } from "../router.tsx";

/** A file of rows that no mixture made: what can be counted in it. */
export function RowsSummary({ id }: { id: string }) {
  const { value, error, reload } = useLoad(`overview ${id}`, (signal) =>
    get<RowsOverview>(`data/${part(id)}/overview`, {}, signal),
  );
  useEvery(500, reload, value === undefined || value.state.kind === "reading");
  if (value === undefined) return error ? <Failure of={error} /> : <div aria-busy="true" />;
  const { state, datasets, lengths, kind } = value;
  if (state.kind === "reading")
    return <p class="empty">Reading the file into a table: {percent(state.share, 0)}.</p>;
  if (state.kind === "failed") return <Failure of={{ message: state.message }} />;
  const most = Math.max(1, ...datasets.map(({ rows }) => rows));
  return (
    <>
      <Figures
        of={[
          ["rows", count(state.rows)],
          ["kind", kind],
          ["sources", count(datasets.length)],
          ["characters", compact(datasets.reduce((sum, { chars }) => sum + chars, 0))],
        ]}
      />
      <Part title="Composition" margin>
        <table class="wide">
          <tbody>
            {datasets.map(({ name, rows, chars }, i) => (
              <tr key={name}>
                <td>
                  <a href={link("data", id, { tab: "rows", dataset: name })}>
                    {name === "" ? "(no source named)" : name}
                  </a>
                </td>
                <td class="num">{count(rows)}</td>
                <td class="num soft">{compact(chars / Math.max(1, rows))} characters each</td>
                <td style={{ width: "40%", verticalAlign: "middle" }}>
                  <Bar share={rows / most} tint={(i % 8) + 1} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Part>
      {lengths && (
        <Part title="Lengths" margin note="Characters in a row, and how many rows have so many.">
          <table>
            <tbody>
              {lengths.rows.map((rows, i) => (
                <tr key={i}>
                  <td class="num soft">
                    {compact(lengths.edges[i]!)} to {compact(lengths.edges[i + 1]!)}
                  </td>
                  <td class="num">{count(rows)}</td>
                  <td style={{ width: "18rem", verticalAlign: "middle" }}>
                    <Bar share={rows / Math.max(...lengths.rows)} tint={6} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Part>
      )}
    </>
  );
}
