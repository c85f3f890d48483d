/** Two evaluations on one page: differences with their intervals, and the items that flipped. */
import { note, table } from "../../report/blocks.js";
import { type HtmlValue, html } from "../../report/html.js";
import { itemBrowser } from "../../report/item-browser.js";
import { page, section } from "../../report/page.js";
import type { Comparison, Flip, TaskComparison } from "../compare.js";
import { DPO_EFFECT, PAPER_COLUMNS } from "../published.js";

/** Flips of one direction shown for a task. */
const SHOWN = 60;

export function compareReport({ a, b, tasks, unmatched }: Comparison): string {
  const clear = tasks.filter((one) => one.clear);
  return page({
    title: `${b.model} against ${a.model}`,
    kind: "comparison",
    lead: html`<b>${clear.length} of ${tasks.length}</b> ${tasks.length === 1 ? "task differs" : "tasks differ"} by more than chance would explain.`,
    body: [
      section({
        heading: "Differences",
        note: "Second less first, over items that both have. Intervals and p from a paired bootstrap within groups.",
        body: [
          table(
            [
              { name: "task" },
              { name: a.model, kind: "number" },
              { name: b.model, kind: "number" },
              { name: "difference", kind: "number" },
              { name: "95 %", kind: "number" },
              { name: "p", kind: "number" },
              { name: "items", kind: "number" },
              { name: "gained", kind: "number", hint: "wrong in the first, right in the second" },
              { name: "lost", kind: "number" },
            ],
            tasks.map((one) => [
              one.title,
              one.scoreA.toFixed(2),
              one.scoreB.toFixed(2),
              one.clear ? html`<b>${signed(one.difference)}</b>` : signed(one.difference),
              one.interval.map(signed).join(" to "),
              one.p < 0.002 ? "< 0.002" : one.p.toFixed(3),
              one.items.toLocaleString("en-US"),
              one.gained.length,
              one.lost.length,
            ]),
          ),
          ...tasks.flatMap((one) => remarks(one)),
          unmatched.length > 0 && note(html`Only one of the two has ${unmatched.join(", ")}.`),
        ],
      }),
      besideTable3(tasks),
      ...tasks.map(flips),
    ],
  });
}

/** For a model before and after preference training: the paper's own differences. */
function besideTable3(tasks: readonly TaskComparison[]): HtmlValue {
  const columns = PAPER_COLUMNS.filter(({ task }) => tasks.some(({ key }) => key === task));
  if (columns.length === 0) return undefined;
  const cell = (value: number | undefined) => (value === undefined ? "–" : signed(value));
  return section({
    heading: "Beside the paper",
    note: "Table 3: what DPO changed in Tülu 2, for comparisons of a model before and after preference training.",
    body: table(
      [{ name: "model" }, ...columns.map(({ name }) => ({ name, kind: "number" as const }))],
      [
        [
          html`<b>these two</b>`,
          ...columns.map(({ task }) => cell(tasks.find(({ key }) => key === task)!.difference)),
        ],
        ...DPO_EFFECT.map(({ model, scores }) => [
          `Tülu 2 ${model}`,
          ...columns.map(({ task }) => cell(scores[task])),
        ]),
      ],
    ),
  });
}

function remarks(one: TaskComparison): HtmlValue[] {
  const texts = [...one.warnings];
  if (one.onlyA + one.onlyB > 0) {
    texts.push(`${one.onlyA + one.onlyB} items have a verdict in one of the two only and are left out`);
  }
  return texts.length === 0 ? [] : [note(html`<b>${one.title}.</b> ${texts.join("; ")}.`, "warn")];
}

function flips({ key, title, gained, lost }: TaskComparison): HtmlValue {
  if (gained.length + lost.length === 0) return undefined;
  const shown = [
    ...gained.slice(0, SHOWN).map((flip) => ({ flip, verdict: "right" as const })),
    ...lost.slice(0, SHOWN).map((flip) => ({ flip, verdict: "wrong" as const })),
  ];
  return section({
    heading: `${title}: flipped items`,
    note: html`Green: right now and wrong before. Red: the other way round.${
      gained.length + lost.length > shown.length && html` The first ${SHOWN} each.`
    }`,
    body: itemBrowser({
      name: `flips-${key.replaceAll(/[^\w-]/g, "-")}`,
      counts: { right: gained.length, wrong: lost.length, failed: 0, skipped: 0 },
      labels: { right: "gained", wrong: "lost" },
      items: shown.map(({ flip, verdict }) => ({
        id: flip.id,
        verdict,
        facts: flip.target === undefined ? "" : html`<small>wanted</small> ${flip.target.slice(0, 80)}`,
        texts: textsOf(flip),
      })),
    }),
  });
}

function textsOf({ prompt, a, b }: Flip): { name: string; text: string }[] {
  return [
    ...(prompt === null ? [] : [{ name: "prompt", text: prompt.slice(-2000) }]),
    { name: "first", text: a.slice(0, 2000) },
    { name: "second", text: b.slice(0, 2000) },
  ];
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
