/**
 * What a preference run did besides what it was asked to do, read from its record. The Tulu 2 paper found two things after
 * DPO: answers get longer, and other languages than that of the pairs get worse.
 */
import type { EvalEnd } from "./events.js";
import type { RunRecord } from "./read-run.js";

/** Names of the `eval-end` events that hold it. */
export const WATCHED_PAIRS = "pairs";
export const ANSWERS = "answers";
export const HELD_OUT = "held-out";

export interface Change {
  before: number;
  after: number;
}

export interface LanguageEffect {
  /** A code such as "de"; "others": all but the main language together. */
  language: string;
  pairs: number;
  /** Nats per token of the preferred answers. */
  nll: Change;
  accuracy: number;
  margin: number;
}

export interface PreferenceEffects {
  /** Step of the last look. */
  step: number;
  /** Of answers to a few prompts. `ended`: share that the model ended itself; the others were cut at maxNewTokens. */
  answers?: { prompts: number; maxNewTokens: number; tokens: Change; characters: Change; ended: Change };
  /** All watched pairs first, then by language. */
  pairs: LanguageEffect[];
  /** Conversations of evalData by language, nats per token. */
  conversations: { language: string; loss: Change }[];
  /** Where the watched rows are from. */
  source: "evalData" | "heldOutRows" | "trained";
}

/** @returns undefined when the run did not look at itself twice */
export function preferenceEffects({
  evals,
  settings,
}: Pick<RunRecord, "evals" | "settings">): PreferenceEffects | undefined {
  const answers = firstAndLast(evals, ANSWERS);
  const pairs = firstAndLast(evals, WATCHED_PAIRS);
  const conversations = firstAndLast(evals, HELD_OUT);
  const last = answers ?? pairs ?? conversations;
  if (last === undefined) return undefined;
  return {
    step: last[1].step,
    ...(answers !== undefined && { answers: answerEffect(answers, settings) }),
    pairs: pairs === undefined ? [] : pairEffects(pairs),
    conversations: conversations === undefined ? [] : lossEffects(conversations),
    source:
      typeof settings.evalData === "string"
        ? "evalData"
        : typeof settings.heldOutRows === "number"
          ? "heldOutRows"
          : "trained",
  };
}

type Looks = readonly [first: EvalEnd, last: EvalEnd];

function firstAndLast(evals: readonly EvalEnd[], name: string): Looks | undefined {
  const looks = evals.filter((one) => one.name === name);
  const [first, last] = [looks[0], looks.at(-1)];
  return first === undefined || last === undefined || first === last ? undefined : [first, last];
}

const metricOf = ({ metrics }: EvalEnd, name: string): number => metrics?.[name] ?? Number.NaN;

const change = ([first, last]: Looks, name: string): Change => ({
  before: metricOf(first, name),
  after: metricOf(last, name),
});

function answerEffect(looks: Looks, settings: RunRecord["settings"]) {
  return {
    prompts: metricOf(looks[1], "answers/prompts"),
    maxNewTokens: Number(settings.maxNewTokens),
    tokens: change(looks, "answers/tokens"),
    characters: change(looks, "answers/characters"),
    ended: change(looks, "answers/ended"),
  };
}

function pairEffects(looks: Looks): LanguageEffect[] {
  const effect = (language: string, prefix: string): LanguageEffect => ({
    language,
    pairs: metricOf(looks[1], `${prefix}pairs`),
    nll: change(looks, `${prefix}nll/chosen`),
    accuracy: metricOf(looks[1], `${prefix}rewards/accuracies`),
    margin: metricOf(looks[1], `${prefix}rewards/margins`),
  });
  const names = Object.keys(looks[1].metrics ?? {});
  const languages = names.flatMap((name) => /^language\/(.+)\/pairs$/.exec(name)?.[1] ?? []);
  const byLanguage = languages.map((language) => effect(language, `language/${language}/`));
  const most = byLanguage.sort((a, b) => b.pairs - a.pairs);
  return [effect("all", ""), ...most];
}

function lossEffects(looks: Looks): PreferenceEffects["conversations"] {
  const names = Object.keys(looks[1].metrics ?? {}).filter((name) => name.startsWith("loss/"));
  const all = { before: looks[0].loss ?? Number.NaN, after: looks[1].loss ?? Number.NaN };
  return [
    { language: "all", loss: all },
    ...names.map((name) => ({ language: name.slice("loss/".length), loss: change(looks, name) })),
  ];
}

/** A language of fewer pairs is as likely a wrong guess; the report has them all. */
const FEWEST_PAIRS = 4;
/** More of them stand in the report. */
const MOST_LANGUAGES = 6;

/** The effects in a few lines of at most 80 columns, for the end of a run. */
export function describeEffects(effects: PreferenceEffects): string {
  const { answers, pairs, conversations } = effects;
  const lines: string[] = [];
  if (answers !== undefined) {
    const { tokens, ended, prompts, maxNewTokens } = answers;
    lines.push(
      `answers to ${prompts} prompts   ${arrow(tokens, 0)} tokens${relative(tokens)}` +
        (ended.after < 1 ? `; ${percent(1 - ended.after)} cut at ${maxNewTokens}` : ""),
    );
  }
  const rows = pairs
    .filter(({ language, pairs: count }) => (language === "all" ? pairs.length > 2 : count >= FEWEST_PAIRS))
    .slice(0, MOST_LANGUAGES);
  for (const { language, pairs: count, nll, accuracy, margin } of rows) {
    const name = `${language} (${count})`.padEnd(14);
    lines.push(
      `${name} preferred answers ${arrow(nll, 2)} nats/token; ${percent(accuracy)} right, margin ${margin.toFixed(2)}`,
    );
  }
  for (const { language, loss } of conversations)
    lines.push(`${language.padEnd(14)} held-out loss ${arrow(loss, 2)} nats/token`);
  lines.push(...remarks(effects));
  return lines.join("\n");
}

/** `describeEffects` of a run's record; nothing where it did not look at itself twice. */
export function effectLines(record: Pick<RunRecord, "evals" | "settings">): string {
  const effects = preferenceEffects(record);
  return effects === undefined ? "" : describeEffects(effects);
}

/** What the figures do not say of themselves. Sentences. */
export function remarks({ pairs, conversations, source }: PreferenceEffects): string[] {
  const languages = pairs.filter(({ language }) => language !== "all" && language !== "others");
  const seen = [
    ...languages.filter(({ pairs: count }) => count >= FEWEST_PAIRS),
    ...conversations.filter(({ language }) => language !== "all"),
  ].filter(({ language }) => language !== "und");
  const texts: string[] = [];
  if (seen.length === 1)
    texts.push(
      `What happens to other languages than "${seen[0]!.language}" was hardly seen: evalData may hold some.`,
    );
  if (source === "trained" && pairs.length > 0)
    texts.push("These pairs were trained on; evalData or heldOutRows would be a fair test.");
  return texts;
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;
const arrow = ({ before, after }: Change, digits: number): string =>
  `${before.toFixed(digits)} -> ${after.toFixed(digits)}`;

/** " (+25 %)"; nothing where there is nothing to compare with. */
export function relative({ before, after }: Change): string {
  if (!(before > 0) || !Number.isFinite(after)) return "";
  const share = Math.round(100 * (after / before - 1));
  return ` (${share > 0 ? "+" : ""}${share} %)`;
}
