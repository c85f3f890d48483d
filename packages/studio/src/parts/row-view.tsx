import type { RowView } from "../api.ts";
import { useKept } from "../hooks.ts";
import { Failure, Note } from "./blocks.tsx";
import { PairText } from "./pair-text.tsx";
import { TokenLegend, TokenStrip } from "./token-strip.tsx";
import { Turns } from "./turns.tsx";

/** A row as text, as tokens with their labels, or as it stands in the file. */
export function RowPanel({ row }: { row: RowView }) {
  const [kept, keep] = useKept("row-form", "tokens");
  const hasTokens = row.sides.some(({ tokens }) => tokens !== null);
  const forms = [...(hasTokens ? ["tokens"] : []), "text", "file"];
  const form = forms.includes(kept) ? kept : "text";
  return (
    <>
      <div class="fields" role="radiogroup" aria-label="Form">
        {forms.map((one) => (
          <label key={one}>
            <input type="radio" name="row-form" checked={one === form} onChange={() => keep(one)} />
            {one === "tokens" ? "tokens and labels" : one === "text" ? "text" : "as in the file"}
          </label>
        ))}
      </div>
      {row.problem && (
        <>
          <Note tone="warn">The trainer would not take this row.</Note>
          <Failure of={{ message: row.problem.message, body: row.problem }} />
        </>
      )}
      {form === "file" ? (
        <pre class="words">{pretty(row.raw)}</pre>
      ) : (
        <Sides row={row} tokens={form === "tokens"} />
      )}
      {form !== "file" && Object.keys(row.extra).length > 0 && (
        <details>
          <summary class="soft">other keys of the row</summary>
          <dl class="pairs">
            {Object.entries(row.extra).map(([key, value]) => (
              <>
                <dt>{key}</dt>
                <dd class="mono">{value}</dd>
              </>
            ))}
          </dl>
        </details>
      )}
    </>
  );
}

function Sides({ row, tokens }: { row: RowView; tokens: boolean }) {
  const one = row.sides.length === 1;
  const [chosen, rejected] = row.sides;
  if (!tokens && chosen?.name === "chosen" && rejected?.name === "rejected" && row.problem === null) {
    return <PairText chosen={chosen} rejected={rejected} />;
  }
  return (
    <>
      {tokens && <TokenLegend />}
      <div class={one ? "" : "sides"}>
        {row.sides.map((side) => (
          <section key={side.name} aria-label={side.name}>
            {!one && <h3>{side.name}</h3>}
            {tokens && side.tokens ? (
              <>
                <p class="soft">
                  {side.tokens.ids.length} tokens, {side.tokens.trainedTokens} trained
                  {side.tokens.answersLost > 0 && `, ${side.tokens.answersLost} answers lost to the cut`}
                </p>
                <TokenStrip tokens={side.tokens} />
              </>
            ) : (
              <Turns side={side} />
            )}
          </section>
        ))}
      </div>
    </>
  );
}

function pretty(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    return raw;
  }
}
