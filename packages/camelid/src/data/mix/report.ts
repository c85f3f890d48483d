/** `report.html`: what the mixture is made of, what was taken out and why, and rows to look at. */
import { writeFile } from "node:fs/promises";
import { barChart, histogram } from "../../report/bars.js";
import { figures, fold, keyValues, note, sideBySide, table } from "../../report/blocks.js";
import { type HtmlValue, html } from "../../report/html.js";
import { page, section } from "../../report/page.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { Manifest, SourceManifest } from "./manifest.js";
import { sampledRows } from "./report-rows.js";
import type { SourceState } from "./source-state.js";

export async function writeMixReport(
  path: string,
  manifest: Manifest,
  states: readonly SourceState[],
  tokenizer: Tokenizer | undefined,
  beside?: Manifest,
): Promise<void> {
  const { totals, files, sources } = manifest;
  const mib = (files["train.jsonl"]!.bytes / 2 ** 20).toFixed(1);
  const document = page({
    title: manifest.mixture,
    kind: "mixture report",
    lead: html`<b>${count(totals.written)}</b> conversations from ${sources.length} sources, out of ${count(totals.read)} raw rows; seed ${manifest.seed}.`,
    body: [
      section({
        heading: "At a glance",
        body: [
          figures([
            { name: "written", value: count(totals.written), unit: "rows" },
            { name: "size", value: mib, unit: "MiB" },
            ...(totals.trainedTokens > 0
              ? [
                  { name: "tokens", value: count(totals.tokens) },
                  { name: "trained tokens", value: count(totals.trainedTokens) },
                ]
              : []),
            {
              name: "taken out",
              value: count(totals.sampled - totals.written - totals.heldOut),
              unit: "records",
            },
          ]),
          manifest.missing.length > 0 &&
            note(html`Not there: ${manifest.missing.map(({ source }) => source).join(", ")}.`, "warn"),
          sources.flatMap(({ name, notes }) =>
            notes.map((text) => note(html`<b>${name}</b>: ${text}`, "warn")),
          ),
        ],
      }),
      released(manifest),
      composition(sources),
      accounts(sources),
      lengths(manifest, beside),
      takenOut(sources, states),
      badRows(sources),
      await sampledRows(states, tokenizer),
      section({
        heading: "How it was made",
        body: [
          keyValues([
            ["made at", manifest.made.at],
            ["seconds", manifest.made.seconds.toFixed(1)],
            ["threads", manifest.made.threads],
            ["train.jsonl sha256", files["train.jsonl"]!.sha256],
            ...(manifest.tokenizer ? [["tokenizer", manifest.tokenizer.fingerprint] as const] : []),
          ]),
          fold("settings", html`<pre>${JSON.stringify(manifest.settings, null, 2)}</pre>`),
          fold(
            "files read",
            table(
              [
                { name: "file", kind: "code" },
                { name: "rows", kind: "number" },
                { name: "bytes", kind: "number" },
                { name: "sha256", kind: "code" },
              ],
              sources.flatMap((source) =>
                source.files.map((file) => [file.file, count(file.rows), count(file.bytes), file.sha256]),
              ),
            ),
          ),
        ],
      }),
    ],
  });
  await writeFile(path, document);
}

function composition(sources: readonly SourceManifest[]): HtmlValue {
  const charts = [
    barChart({ title: "rows", bars: sources.map(({ name, written }) => ({ name, value: written })) }),
  ];
  if (sources.some(({ trainedTokens }) => trainedTokens > 0)) {
    const bars = sources.map(({ name, trainedTokens }) => ({ name, value: trainedTokens, color: 2 }));
    charts.push(barChart({ title: "trained tokens", bars }));
  } else
    charts.push(
      barChart({
        title: "characters",
        bars: sources.map(({ name, chars }) => ({ name, value: chars, color: 2 })),
      }),
    );
  const note = "Rows and what is learned from them are shared differently: long answers weigh more.";
  return section({ heading: "Composition", note, body: sideBySide(charts) });
}

function released({ released }: Manifest): HtmlValue {
  if (released === undefined) return undefined;
  const rows = released.map(({ source, sampled, written, expected, equal }) => [
    source,
    count(sampled),
    count(expected.sampled),
    count(written),
    count(expected.written),
    equal ? "equal" : "differs",
  ]);
  const number = "number" as const;
  return section({
    heading: "Beside the published mixture",
    note: "Equal only from the original raw files.",
    body: table(
      [
        { name: "source", kind: "key" },
        { name: "sampled", kind: number },
        { name: "published", kind: number },
        { name: "written", kind: number },
        { name: "published", kind: number },
        { name: "" },
      ],
      rows,
    ),
  });
}

function accounts(sources: readonly SourceManifest[]): HtmlValue {
  const columns = [
    "read",
    "bad",
    "notSampled",
    "rejected",
    "converted",
    "sampled",
    "filtered",
    "deduplicated",
    "nearDuplicates",
    "contaminated",
    "overQuota",
    "heldOut",
    "written",
  ] as const;
  return section({
    heading: "Every row accounted for",
    note: "Rows: read = bad + not sampled + rejected + used. Records: sampled = all that was taken out + held out + written.",
    body: table(
      [
        { name: "source", kind: "key" },
        ...columns.map((name) => ({ name: spaced(name), kind: "number" as const })),
      ],
      sources.map((source) => [
        source.name,
        ...columns.map((column) => (source[column] === 0 ? "" : count(source[column]))),
      ]),
    ),
  });
}

/** One mixture, or two side by side with one scale, as the paper shows Tülu 1 and Tülu 2. */
function lengths({ mixture, sources }: Manifest, beside: Manifest | undefined): HtmlValue {
  const names = new Set([...sources, ...(beside?.sources ?? [])].map(({ name }) => name));
  const charts = [...names].flatMap((name) => {
    const pair = [
      { of: mixture, source: sources.find((source) => source.name === name) },
      { of: beside?.mixture, source: beside?.sources.find((source) => source.name === name) },
    ].filter(({ source }) => source !== undefined && source.written > 0);
    const max = Math.max(...pair.map(({ source }) => source!.lengths.quantiles.at(-2) ?? 0));
    return pair.map(({ of, source }) =>
      histogram({
        title: beside === undefined ? name : `${name}, ${of}`,
        unit: source!.lengths.unit,
        values: source!.lengths.quantiles,
        height: 6,
        bars: 30,
        color: of === mixture ? 1 : 2,
        ...(beside !== undefined && max > 0 && { max }),
      }),
    );
  });
  return section({
    heading: "Length of a conversation",
    note: "200 conversations spread evenly over the lengths of each source; tokens as training will see them.",
    body: sideBySide(charts),
  });
}

function takenOut(sources: readonly SourceManifest[], states: readonly SourceState[]): HtmlValue {
  const hits = states.flatMap((state) =>
    Object.entries(state.filterHits).map(([keyword, times]) => ({
      source: state.name,
      keyword,
      times,
      examples: state.filterExamples[keyword] ?? [],
    })),
  );
  const body: HtmlValue[] = [];
  if (hits.length > 0) {
    body.push(
      html`<h3>Keyword filter</h3>`,
      table(
        [
          { name: "source", kind: "key" },
          { name: "string" },
          { name: "records", kind: "number" },
          { name: "for example", kind: "text" },
        ],
        hits
          .sort((a, b) => b.times - a.times)
          .map(({ source, keyword, times, examples }) => [
            source,
            keyword,
            count(times),
            examples[0] === undefined ? "" : `${examples[0].id}: ${examples[0].text}`,
          ]),
      ),
    );
  }
  const losses = sources.flatMap(({ name, lostTo }) =>
    Object.entries(lostTo).map(([winner, times]) => [
      name,
      winner,
      count(times),
      states.find((state) => state.name === name)!.duplicateExamples[0]?.text ?? "",
    ]),
  );
  if (losses.length > 0) {
    body.push(
      html`<h3>Duplicates</h3>`,
      table(
        [
          { name: "source", kind: "key" },
          { name: "lost to", kind: "key" },
          { name: "records", kind: "number" },
          { name: "for example", kind: "text" },
        ],
        losses,
      ),
    );
  }
  const contacts = sources.flatMap(({ name, contaminatedRows }) =>
    contaminatedRows
      .slice(0, 20)
      .map((row) => [name, row.id, row.benchmark, row.item, `${Math.round(row.coverage * 100)} %`, row.text]),
  );
  if (contacts.length > 0) {
    body.push(
      html`<h3>Evaluation texts found</h3>`,
      table(
        [
          { name: "source", kind: "key" },
          { name: "row", kind: "code" },
          { name: "benchmark" },
          { name: "item", kind: "code" },
          { name: "of it", kind: "number" },
          { name: "words in the row", kind: "text" },
        ],
        contacts,
      ),
    );
  }
  const dropped = sources.flatMap(({ name, droppedReasons }) =>
    Object.entries(droppedReasons).map(([reason, times]) => [name, reason, count(times)]),
  );
  if (dropped.length > 0) {
    body.push(
      html`<h3>Left out by a source's own rule</h3>`,
      table(
        [{ name: "source", kind: "key" }, { name: "reason" }, { name: "parts", kind: "number" }],
        dropped,
      ),
    );
  }
  return section({
    heading: "Taken out",
    note: "All of them are in removed.jsonl; why, in lineage.parquet: camelid mix --explain ID.",
    body: body.length === 0 ? note("Nothing was taken out.") : body,
  });
}

function badRows(sources: readonly SourceManifest[]): HtmlValue {
  const rows = sources.flatMap(({ name, badRows }) =>
    badRows.map(({ where, message }) => [name, where, message]),
  );
  if (rows.length === 0) return undefined;
  return section({
    heading: "Rows that could not be read",
    body: table(
      [
        { name: "source", kind: "key" },
        { name: "where", kind: "code" },
        { name: "what", kind: "text" },
      ],
      rows,
    ),
  });
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
