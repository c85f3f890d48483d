import { get, type MixDetail, type MixSource, part } from "../api.ts";
import { bytes, compact, count, duration, moment, percent } from "../format.ts";
import { useLoad } from "../hooks.ts";
import { Bar, Failure, Figures, Note, Part } from "../parts/blocks.tsx";
import { link } from "../router.tsx";
import { Flow } from "./flow.tsx";
import { LengthChart } from "./length-chart.tsx";

/** The books of a mixture: what went in, what was taken out and why, what it is made of now. */
export function MixOverview({ id }: { id: string }) {
  const { value: mix, error } = useLoad(`mix ${id}`, (signal) =>
    get<MixDetail>(`data/${part(id)}`, {}, signal),
  );
  if (mix === undefined)
    return error ? <Failure of={error} /> : <div aria-busy="true" style={{ minHeight: "30rem" }} />;
  const { totals, sources } = mix;
  const tokens = totals.tokens ?? 0;
  return (
    <>
      <Figures
        of={[
          ["rows", count(totals.written)],
          ["sources", count(sources.length)],
          tokens > 0 ? ["tokens", compact(tokens)] : ["characters", compact(totals.chars ?? 0)],
          tokens > 0 && ["trained", percent((totals.trainedTokens ?? 0) / tokens), "of tokens"],
          ["turns a row", ((totals.turns ?? 0) / Math.max(1, totals.written ?? 1)).toFixed(1)],
          ["seed", mix.seed],
        ]}
      />
      {mix.missing.map((missing) => (
        <Note key={missing} tone="warn">
          Not there: {missing}
        </Note>
      ))}
      <Composition mix={mix} />
      <Part
        title="What became of every row"
        margin
        note="From the files to the mixture, source by source. The books balance: nothing is missing."
      >
        <Flow sources={sources} />
      </Part>
      <Part
        title="Lengths"
        margin
        note={`In ${sources[0]?.unit ?? "characters"}, on a log scale; one line a source, each as high as its rows are many.`}
      >
        <LengthChart sources={sources} />
      </Part>
      <Removed mix={mix} />
      <Contamination mix={mix} />
      <Part title="How it was made" margin>
        <dl class="pairs">
          <dt>made</dt>
          <dd>
            {moment(mix.madeAt)}, in {duration(mix.seconds * 1000)}
          </dd>
          <dt>tokenizer</dt>
          <dd>{mix.tokenizer ?? "none: lengths are in characters"}</dd>
          {mix.settings.map(({ key, value }) => (
            <>
              <dt>{key}</dt>
              <dd>{value}</dd>
            </>
          ))}
          {mix.files.map(({ name, rows, bytes: size, sha256 }) => (
            <>
              <dt>
                {/\.jsonl$/.test(name) ? (
                  <a href={link("data", `${id}/${name}`, { tab: "rows" })}>{name}</a>
                ) : (
                  name
                )}
              </dt>
              <dd>
                {count(rows)} rows, {bytes(size)} <small class="mono soft">{sha256.slice(0, 16)}</small>
              </dd>
            </>
          ))}
        </dl>
        <p style={{ marginTop: "0.8rem" }}>
          <a href={`/api/data/${part(id)}/report.html`} target="_blank" rel="noreferrer">
            report.html
          </a>{" "}
          has all of this in one file.
        </p>
      </Part>
    </>
  );
}

function Composition({ mix }: { mix: MixDetail }) {
  const hasTokens = (mix.totals.tokens ?? 0) > 0;
  const weight = ({ counts }: MixSource) => (hasTokens ? counts.trainedTokens! : counts.chars!);
  const all = Math.max(
    1,
    mix.sources.reduce((sum, source) => sum + weight(source), 0),
  );
  const rows = Math.max(1, mix.totals.written ?? 1);
  const sorted = [...mix.sources].sort((a, b) => weight(b) - weight(a));
  const most = Math.max(...sorted.map((source) => weight(source) / all), 0.01);
  return (
    <Part
      title="Composition"
      margin
      note={
        hasTokens
          ? "By trained tokens: what the loss is made of. Rows and tokens tell different stories."
          : "By characters; with a tokenizer, `camelid mix` counts trained tokens."
      }
    >
      <div class="scroll">
        <table class="wide">
          <thead>
            <tr>
              <th>Source</th>
              <th class="num">Rows</th>
              <th class="num">of rows</th>
              {hasTokens && <th class="num">Tokens</th>}
              <th class="num">{hasTokens ? "of trained tokens" : "of characters"}</th>
              <th style={{ width: "34%" }} />
            </tr>
          </thead>
          <tbody>
            {sorted.map((source) => (
              <tr key={source.name} title={source.rule}>
                <td>
                  <a href={link("data", mix.id, { tab: "rows", dataset: source.name })}>{source.name}</a>
                </td>
                <td class="num">{count(source.counts.written)}</td>
                <td class="num soft">{percent(source.counts.written! / rows)}</td>
                {hasTokens && <td class="num">{compact(source.counts.tokens!)}</td>}
                <td class="num">{percent(weight(source) / all)}</td>
                <td style={{ verticalAlign: "middle" }}>
                  <Bar share={weight(source) / all / most} tint={1 + (mix.sources.indexOf(source) % 8)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}

function Removed({ mix }: { mix: MixDetail }) {
  const hits = mix.sources.flatMap(({ name, filterHits, droppedReasons }) => [
    ...Object.entries(filterHits).map(([word, rows]) => ({
      source: name,
      why: `the filter found “${word}”`,
      rows,
    })),
    ...Object.entries(droppedReasons).map(([why, rows]) => ({ source: name, why, rows })),
  ]);
  const lost = mix.sources.flatMap(({ name, lostTo }) =>
    Object.entries(lostTo).map(([winner, rows]) => ({ winner, loser: name, rows })),
  );
  const near = mix.nearDuplicates;
  const bad = mix.sources.flatMap(({ name, badRows }) => badRows.map((row) => ({ ...row, source: name })));
  return (
    <>
      <Part title="Filters" margin>
        {hits.length === 0 ? (
          <p class="soft">No row was filtered.</p>
        ) : (
          <Counted
            rows={hits.sort((a, b) => b.rows - a.rows).map(({ source, why, rows }) => [why, source, rows])}
          />
        )}
        {bad.length > 0 && (
          <details>
            <summary class="soft">rows that could not be read ({count(mix.totals.bad)})</summary>
            {bad.map(({ source, message, where }, i) => (
              <p key={i} class="words">
                <span class="soft">{source}</span> {message} <span class="soft mono">{where}</span>
              </p>
            ))}
          </details>
        )}
      </Part>
      <Part title="Duplicates" margin>
        {lost.length === 0 ? (
          <p class="soft">No exact duplicates.</p>
        ) : (
          <Counted
            rows={lost
              .sort((a, b) => b.rows - a.rows)
              .map(({ winner, loser, rows }) => [
                winner === loser ? "the same text twice" : `said already by ${winner}`,
                loser,
                rows,
              ])}
          />
        )}
        {near && (
          <p style={{ marginTop: "0.6rem" }}>
            {count(near.removed)} near duplicates in {count(near.clusters)} clusters; the largest has{" "}
            {count(near.largest)} rows.
          </p>
        )}
      </Part>
    </>
  );
}

function Contamination({ mix }: { mix: MixDetail }) {
  const contacts = mix.sources.flatMap(({ name, contacts: found }) =>
    Object.entries(found).map(([benchmark, rows]) => ({ benchmark, source: name, rows })),
  );
  const examples = mix.sources.flatMap(({ name, contaminatedRows }) =>
    contaminatedRows.map((row) => ({ ...row, source: name })),
  );
  const looked = mix.settings.some(({ key }) => key.startsWith("decontaminate"));
  return (
    <Part title="Contamination" margin note="Rows that hold texts of the benchmarks.">
      {contacts.length === 0 ? (
        <p class="soft">
          {looked ? "None found." : "Not looked for: the mixture names no benchmarks (`decontaminate`)."}
        </p>
      ) : (
        <>
          <Counted
            rows={contacts
              .sort((a, b) => b.rows - a.rows)
              .map(({ benchmark, source, rows }) => [benchmark, source, rows])}
          />
          <details>
            <summary class="soft">what they share</summary>
            {examples.slice(0, 60).map(({ id, benchmark, item, text, source }, i) => (
              <p key={i} class="words">
                <span class="soft">
                  {source} {id} with {benchmark} {item}:
                </span>{" "}
                {text}
              </p>
            ))}
          </details>
        </>
      )}
    </Part>
  );
}

function Counted({ rows }: { rows: [what: string, source: string, count: number][] }) {
  return (
    <table>
      <tbody>
        {rows.slice(0, 40).map(([what, source, many], i) => (
          <tr key={i}>
            <td class="text">{what}</td>
            <td class="soft">{source}</td>
            <td class="num">{count(many)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
