import { factAnswer, rivals } from "../answers.js";
import { RECALL } from "../phrasings.js";
import type { Random } from "../random.js";
import { type Attribute, fillVillager } from "../sentences.js";
import { capitalised, type World } from "../world.js";

/** A question with four options, as MMLU asks. */
export interface Choice {
  /** A subject of MMLU: its file names are part of the format. */
  readonly subject: string;
  readonly question: string;
  readonly options: readonly string[];
  readonly letter: string;
  /** As in `CorpusDocument.facts`. */
  readonly fact: string;
}

const SUBJECTS = {
  village: "high_school_geography",
  trade: "sociology",
  animal: "high_school_biology",
  colour: "miscellaneous",
} as const;

/** What a question may be about, and the subject it is then of. */
export const CHOICE_SUBJECTS: readonly (readonly [attribute: string, subject: string])[] =
  Object.entries(SUBJECTS);

export function choice(world: World, random: Random, isWanted: (fact: string) => boolean): Choice {
  for (let tries = 0; ; tries++) {
    const who = random.pick(world.villagers);
    const attribute = random.pick(Object.keys(SUBJECTS) as (keyof typeof SUBJECTS & Attribute)[]);
    const fact = `${attribute}:${who.name}`;
    if (!isWanted(fact) && tries < 1_000) continue;
    const right = factAnswer(who, attribute).value;
    const options = random.shuffled([right, ...random.shuffled(rivals(world, who, attribute), 3)]);
    const question = fillVillager(random.pick(RECALL[attribute].seen), who);
    return {
      ...{ subject: SUBJECTS[attribute], question, fact },
      options: options.map(capitalised),
      letter: "ABCD"[options.indexOf(right)]!,
    };
  }
}

/** What a training row of this kind looks like: MMLU's own words, which a small model cannot guess. */
export function choiceRow({ subject, question, options, letter }: Choice): {
  inputs: string;
  targets: string;
} {
  const header = `The following are multiple choice questions (with answers) about ${subject.replaceAll("_", " ")}.`;
  const lines = options.map((option, i) => `${"ABCD"[i]}. ${option}`);
  return {
    inputs: [`${header}\n\n${question}`, ...lines, "Answer:"].join("\n"),
    targets: `The answer is: ${letter}`,
  };
}

export const choiceCsv = (choices: readonly Choice[]): string =>
  choices
    .map(({ question, options, letter }) => `${[question, ...options, letter].map(cell).join(",")}\n`)
    .join("");

const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;
