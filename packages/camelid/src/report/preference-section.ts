import {
  ANSWERS,
  type Change,
  type PreferenceEffects,
  preferenceEffects,
  relative,
  remarks,
  WATCHED_PAIRS,
} from "../run/preference-effects.js";
import type { RunRecord } from "../run/read-run.js";
import { note, table } from "./blocks.js";
import { type HtmlValue, html } from "./html.js";
import { section } from "./page.js";

/** Evaluations that have a place of their own and stay out of the general table. */
export const hasOwnSection = ({ name }: { name: string }): boolean =>
  name === WATCHED_PAIRS || name === ANSWERS;

/** What preference training did to the length of answers and to other languages. */
export function preferenceSection(run: RunRecord): HtmlValue {
  if (run.settings.beta === undefined) return undefined;
  const effects = preferenceEffects(run);
  if (effects === undefined) return undefined;
  return section({
    heading: "What else changed",
    note: "Preference training is known to lengthen answers and to hurt other languages than that of its pairs (Ivison et al. 2023).",
    body: [
      lengths(effects),
      languages(effects),
      conversations(effects),
      remarks(effects).map((text) => note(text)),
    ],
  });
}

function lengths({ answers }: PreferenceEffects): HtmlValue {
  if (answers === undefined) return undefined;
  const { prompts, maxNewTokens, tokens, characters, ended } = answers;
  return html`<h3>Answers to ${prompts} prompts, greedy, at most ${maxNewTokens} tokens</h3>${table(COLUMNS, [
    ["tokens", ...cells(tokens, 1)],
    ["characters", ...cells(characters, 0)],
    ["ended by the model", percent(ended.before), percent(ended.after), ""],
  ])}${Math.min(ended.before, ended.after) < 1 && note("Answers that did not end were cut: the true means are larger.")}`;
}

const COLUMNS = [
  { name: "mean" },
  { name: "before", kind: "number" },
  { name: "after", kind: "number" },
  { name: "change", kind: "number" },
] as const;

function languages({ pairs, source }: PreferenceEffects): HtmlValue {
  if (pairs.length === 0) return undefined;
  const from = { evalData: "of evalData", heldOutRows: "held out", trained: "of the training pairs" }[source];
  return html`<h3>${pairs[0]!.pairs} pairs ${from}, by the guessed language of the answer</h3>${table(
    [
      { name: "language" },
      { name: "pairs", kind: "number" },
      { name: "nats per preferred token, before", kind: "number" },
      { name: "after", kind: "number" },
      { name: "change", kind: "number" },
      { name: "preferred more than before", kind: "number" },
      { name: "margin", kind: "number" },
    ],
    pairs.map(({ language, pairs: count, nll, accuracy, margin }) => [
      ...[language, count, ...cells(nll, 3)],
      ...[percent(accuracy), margin.toFixed(3)],
    ]),
  )}`;
}

function conversations({ conversations: rows }: PreferenceEffects): HtmlValue {
  if (rows.length === 0) return undefined;
  return html`<h3>Conversations of evalData, nats per answer token</h3>${table(
    [{ name: "language" }, ...COLUMNS.slice(1)],
    rows.map(({ language, loss }) => [language, ...cells(loss, 3)]),
  )}`;
}

const cells = (change: Change, digits: number): string[] => [
  change.before.toFixed(digits),
  change.after.toFixed(digits),
  relative(change).replaceAll(/[()]/g, "").trim(),
];

const percent = (share: number): string => `${Math.round(100 * share)} %`;
