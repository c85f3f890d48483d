import { useEffect, useRef } from "preact/hooks";
import { get, part, type RowView, type StepDetail } from "../api.ts";
import { count, number } from "../format.ts";
import { useLoad } from "../hooks.ts";
import { Failure, Note } from "../parts/blocks.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { RowPanel } from "../parts/row-view.tsx";
import { setQuery } from "../router.tsx";

/** The rows of one step, and any of them token by token. */
export function StepDrawer({
  id,
  step,
  last,
  row,
}: {
  id: string;
  step: number;
  last: number;
  row: string | null;
}) {
  const { value, error } = useLoad(`step ${id} ${step}`, (signal) =>
    get<StepDetail>(`runs/${part(id)}/steps/${step}`, {}, signal),
  );
  const go = (to: number) => setQuery({ step: String(to), row: undefined });
  return (
    <Drawer
      title={`Step ${count(step)}`}
      label={`Step ${step}`}
      onClose={() => setQuery({ step: undefined, row: undefined })}
      what="step"
      before={step > 1 ? () => go(step - 1) : undefined}
      next={step < last ? () => go(step + 1) : undefined}
    >
      {error && <Failure of={error} />}
      {value && value.step === step && (
        <>
          <dl class="pairs columns">
            {value.numbers.map(({ name, value: one }) => (
              <>
                <dt>{name}</dt>
                <dd>{number(one)}</dd>
              </>
            ))}
          </dl>
          <h3 style={{ margin: "1.2rem 0 0.4rem" }}>
            Rows <small>{count(value.rows.length)}, in the order they were trained</small>
          </h3>
          {value.notes.map((note) => (
            <Note key={note}>{note}</Note>
          ))}
          <table class="wide">
            <thead>
              <tr>
                <th class="num">Row</th>
                <th class="wide-only">Source</th>
                <th>Begins</th>
                <th class="num">Trained</th>
              </tr>
            </thead>
            <tbody>
              {value.rows.map(({ place, dataset, preview, trainedTokens, tokens }, i) => (
                <tr
                  key={i}
                  class={`go${row === String(place) ? " on" : ""}`}
                  onClick={() => setQuery({ row: String(place) })}
                >
                  <td class="num">
                    <button type="button" class="plain" onClick={() => setQuery({ row: String(place) })}>
                      {count(place + 1)}
                    </button>
                  </td>
                  <td class="soft wide-only">{dataset}</td>
                  <td class="text">{preview}</td>
                  <td class="num">{tokens === null ? "–" : `${count(trainedTokens)} / ${count(tokens)}`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      {row !== null && <RunRow id={id} place={Number(row)} />}
    </Drawer>
  );
}

function RunRow({ id, place }: { id: string; place: number }) {
  const { value, error } = useLoad(`row ${id} ${place}`, (signal) =>
    get<RowView>(`runs/${part(id)}/rows/${place}`, {}, signal),
  );
  const section = useRef<HTMLElement>(null);
  useEffect(() => section.current?.scrollIntoView({ block: "start" }), [place, value !== undefined]);
  return (
    <section ref={section} aria-label={`Row ${place + 1}`} style={{ marginTop: "1.4rem" }}>
      <h3>
        Row {count(place + 1)}
        {value && <small>{`${value.dataset} · ${value.id}`}</small>}
      </h3>
      {error && <Failure of={error} />}
      {value && value.place === place && <RowPanel row={value} />}
    </section>
  );
}
