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
          <Histogram of={lengths} />
        </Part>
      )}
    </>
  );
}

const HEIGHT = 110;

function Histogram({ of: { edges, rows } }: { of: NonNullable<RowsOverview["lengths"]> }) {
  const most = Math.max(...rows);
  const width = 100 / rows.length;
  return (
    <figure class="histogram">
      <svg
        viewBox={`0 0 100 ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={rows
          .map((many, i) => `${compact(edges[i]!)} to ${compact(edges[i + 1]!)}: ${many}`)
          .join("; ")}
      >
        {rows.map((many, i) => (
          <rect
            key={i}
            x={i * width + width * 0.06}
            width={width * 0.88}
            y={HEIGHT * (1 - many / most)}
            height={(HEIGHT * many) / most}
          >
            <title>{`${compact(edges[i]!)} to ${compact(edges[i + 1]!)} characters: ${count(many)} rows`}</title>
          </rect>
        ))}
      </svg>
      <figcaption>
        <span>{compact(edges[0]!)}</span>
        <span>{compact(edges[edges.length >> 1]!)}</span>
        <span>{compact(edges.at(-1)!)} characters</span>
      </figcaption>
    </figure>
  );
}
