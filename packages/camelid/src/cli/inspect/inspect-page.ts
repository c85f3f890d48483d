import type { InspectedRow } from "../../data/inspect.js";
import type { SourceCounters } from "../../data/render-counters.js";
import { note, table } from "../../report/blocks.js";
import { html } from "../../report/html.js";
import { page, section } from "../../report/page.js";
import { tokenLegend, tokenStrip } from "../../report/token-strip.js";
import type { RenderFinding } from "./findings.js";

export interface InspectPage {
  data: string;
  model: string;
  sources: ReadonlyMap<string, SourceCounters>;
  findings: readonly RenderFinding[];
  rows: readonly InspectedRow[];
}

/** The rows of a data file as the trainer gets them, as one HTML file. */
export function inspectPage({ data, model, sources, findings, rows }: InspectPage): string {
  return page({
    title: data,
    kind: "tokens and labels",
    lead: html`What a trainer gets from these rows with the tokenizer and chat template of <b>${model}</b>. Point at a token for its id.`,
    body: [
      section({ heading: "Sources", note: "All rows of the file.", body: sourceTable(sources) }),
      section({
        heading: "Checks",
        note: "What preflight asserts before a run.",
        body: findings.map(({ text, status }) => note(text, status === "ok" ? "good" : status)),
      }),
      section({ heading: "Key", body: tokenLegend() }),
      ...rows.map((row) =>
        section({
          heading: `Row ${row.number}`,
          note: rowNote(row),
          body: tokenStrip(row.tokens.map(stripToken)),
        }),
      ),
    ],
  });
}

function sourceTable(sources: ReadonlyMap<string, SourceCounters>) {
  const columns = [
    { name: "source", kind: "key" },
    { name: "rows", kind: "number" },
    { name: "tokens", kind: "number" },
    { name: "trained", kind: "number", hint: "share of the tokens that carry loss" },
    { name: "rows cut", kind: "number", hint: "longer than maxSeqLen" },
    { name: "tokens cut", kind: "number" },
    { name: "answers lost", kind: "number", hint: "answers of which no trained token is left" },
  ] as const;
  const rows = [...sources].map(([name, each]) => [
    name,
    count(each.rows),
    count(each.tokens),
    `${((100 * each.trainedTokens) / Math.max(1, each.tokens)).toFixed(1)} %`,
    count(each.rowsCut),
    count(each.tokensCut),
    count(each.answersLost),
  ]);
  return table(columns, rows);
}

function rowNote({ id, dataset, tokens, trainedTokens, tokensCut }: InspectedRow): string {
  const cut = tokensCut === 0 ? "" : `, ${count(tokensCut)} cut`;
  return `${id} (${dataset}): ${count(tokens.length)} tokens, ${count(trainedTokens)} trained${cut}.`;
}

/** A token without text of its own is a part of the character that the next ones complete. */
function stripToken(token: InspectedRow["tokens"][number]) {
  return token.text.length > 0 ? token : { ...token, text: "⋯", note: "part of a character" };
}

const count = (value: number): string => value.toLocaleString("en-US");
