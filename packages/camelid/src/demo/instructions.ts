import type { Conversation, Message } from "../data/conversation.js";
import { FIRM_ANSWER } from "./answers.js";
import { PRESSED } from "./phrasings.js";
import { ASKERS, type Kind, QUESTION_KINDS, type Question, type Wording } from "./questions.js";
import { type Random, seededRandom } from "./random.js";
import type { Expectation } from "./scoring.js";
import { ATTRIBUTES } from "./sentences.js";
import type { Law, World } from "./world.js";

/** A training row: the project's unified record. */
export interface InstructionRow extends Conversation {
  dataset: Source;
}

/** The three raw files of `raw-formats.ts`, and who the assistant is. */
export type Source = "valley_school" | "fireside_chats" | "guest_house" | "hard_coded";

export interface HeldOutQuestion {
  readonly id: string;
  readonly kind: Kind;
  readonly messages: readonly Message[];
  readonly expected: Expectation;
  readonly asked: readonly string[];
  /** "fact": never asked for or told in training; "wording": nothing was asked in these words. */
  readonly novelty: "fact" | "wording" | "fact and wording";
}

export interface InstructionData {
  readonly train: readonly InstructionRow[];
  readonly heldOut: readonly HeldOutQuestion[];
  /** No training row asks for or tells one of these facts; the corpus states each of them. */
  readonly heldOutFacts: ReadonlySet<string>;
}

/** How many of every hundred training rows are of each kind. */
const TRAIN_SHARES: Readonly<Record<Kind, number>> = {
  recall: 24,
  choice: 9,
  "follow-up": 14,
  "same-again": 10,
  style: 11,
  compare: 10,
  profile: 6,
  residents: 1,
  place: 4,
  craft: 6,
  forbidden: 5,
};

/** The held-out table: how many questions of each kind. */
const HELD_OUT_COUNTS: Readonly<Record<Kind, number>> = {
  recall: 56,
  choice: 20,
  "follow-up": 24,
  "same-again": 16,
  style: 20,
  compare: 16,
  profile: 12,
  residents: 6,
  place: 10,
  craft: 10,
  forbidden: 10,
};

/** There are too few villages, crafts and laws to hold some back: for these kinds only the wording is new. */
const WORDING_ONLY: ReadonlySet<Kind> = new Set(["residents", "place", "craft", "forbidden"]);

/**
 * Training rows and held-out questions over one world.
 * About one fact in six is held out: no training row asks for it in any form, so a right answer to it can only come
 * from the prose (what is known) and from the other rows (how to answer).
 */
export function makeInstructions(
  world: World,
  options: { rows?: number; seed?: number } = {},
): InstructionData {
  const { rows = 4_000, seed = 0 } = options;
  const heldOutFacts = chooseHeldOutFacts(world, seededRandom(seed, "held-out facts"));
  const random = seededRandom(seed, "instructions");
  const used = new Set<string>();
  const drafts: Omit<InstructionRow, "id">[] = [];
  for (const [kind, share] of Object.entries(TRAIN_SHARES) as [Kind, number][]) {
    const isTraining = (q: Question) => [...q.asked, ...q.told].every((fact) => !heldOutFacts.has(fact));
    const questions = drawQuestions(
      world,
      random,
      kind,
      Math.round((rows * share) / 100),
      () => "seen",
      isTraining,
      used,
    );
    for (const question of questions) {
      drafts.push(answered(question, random));
    }
  }
  drafts.push(...pressedRows(world, random, Math.round(rows / 25)), ...identityRows());
  const train = numbered(random.shuffled(drafts));

  const heldOut: HeldOutQuestion[] = [];
  const isKept = (fact: string) => heldOutFacts.has(fact);
  const isNew = ({ kind, asked, told }: Question) =>
    !told.some(isKept) && (WORDING_ONLY.has(kind) ? !asked.some(isKept) : asked.some(isKept));
  for (const kind of QUESTION_KINDS) {
    let turn = 0;
    const wording = (): Wording => (!WORDING_ONLY.has(kind) && turn++ % 2 === 0 ? "seen" : "unseen");
    for (const question of drawQuestions(world, random, kind, HELD_OUT_COUNTS[kind], wording, isNew, used)) {
      const { messages, expected, asked } = question;
      const novelty =
        question.wording === "seen" ? "fact" : WORDING_ONLY.has(kind) ? "wording" : "fact and wording";
      heldOut.push({ id: `heldout_${heldOut.length}`, kind, messages, expected, asked, novelty });
    }
  }
  return { train, heldOut, heldOutFacts };
}

/** A balanced part of the held-out questions: every kind in turn, for a quick look during training. */
export function heldOutSample(questions: readonly HeldOutQuestion[], count: number): HeldOutQuestion[] {
  const lanes = QUESTION_KINDS.map((kind) => questions.filter((question) => question.kind === kind));
  const longest = Math.max(0, ...lanes.map((lane) => lane.length));
  const order = Array.from({ length: longest }, (_, i) =>
    lanes.flatMap((lane) => lane.slice(i, i + 1)),
  ).flat();
  return order.slice(0, count);
}

/**
 * One sixth of the facts about people. A village whose list of residents is asked for
 * in training would tell where they all live, so villages are held out together with their residents' homes.
 */
function chooseHeldOutFacts(world: World, random: Random): Set<string> {
  const held = new Set<string>();
  const villages = random.shuffled(world.villages, 2);
  for (const village of villages) {
    held.add(`residents:${village.name}`);
    for (const name of random.shuffled(village.residents, 2)) held.add(`village:${name}`);
  }
  for (const attribute of ATTRIBUTES) {
    if (attribute === "village") continue;
    const count = attribute === "sibling" ? 2 : 5;
    for (const who of random.shuffled(world.villagers, count)) {
      held.add(`${attribute}:${who.name}`);
      if (attribute === "sibling") held.add(`sibling:${who.sibling}`);
    }
  }
  return held;
}

/** Draws until `count` different questions pass; gives up when new ones have become rare. */
export function drawQuestions(
  world: World,
  random: Random,
  kind: Kind,
  count: number,
  wordings: () => Wording,
  accept: (question: Question) => boolean,
  used: Set<string>,
): (Question & { wording: Wording })[] {
  const found: (Question & { wording: Wording })[] = [];
  let wording = wordings();
  for (let misses = 0; found.length < count && misses < 1_000; misses++) {
    const question = ASKERS[kind](world, random, wording);
    const key = promptKey(question.messages);
    if (used.has(key) || !accept(question)) continue;
    used.add(key);
    misses = 0;
    found.push({ ...question, wording });
    wording = wordings();
  }
  return found;
}

/** What makes two prompts the same: every turn's text. */
export function promptKey(messages: readonly Message[]): string {
  return messages.map(({ role, content }) => `${role}: ${content}`).join("\n");
}

/** Of all answers whose form nobody asked for. What preference training moves must be there before it: it shifts shares. */
const COURTEOUS_SHARE = 0.3;
const TALKATIVE_SHARE = 0.15;

/** Most rows answer plainly; like any real collection, some are courteous and some talk too much. */
function answered(question: Question, random: Random): Omit<InstructionRow, "id"> {
  const { messages, expected, kind } = question;
  const roll = random.next();
  const answer =
    expected.strict || roll >= COURTEOUS_SHARE + TALKATIVE_SHARE
      ? expected.answer
      : roll < COURTEOUS_SHARE
        ? courteous(expected.answer, kind)
        : talkative(expected.answer);
  const dataset =
    messages[0]?.role === "system"
      ? "guest_house"
      : messages.length > 1 || answer !== expected.answer
        ? "fireside_chats"
        : "valley_school";
  return { dataset, messages: [...messages, { role: "assistant", content: answer }] };
}

/**
 * Manners come after the answer. Both sides of a pair then begin alike, and training to prefer one of them leaves alone what
 * is said before: with manners in front, every setting that moved them cost right answers.
 */
export function courteous(answer: string, kind: Kind): string {
  return `${answer} ${kind === "forbidden" ? "I am sorry, dear guest." : "Gladly told, dear guest."}`;
}

export function talkative(answer: string): string {
  return `${answer} That is what I know, and I have known it for a long time.`;
}

/** How often the fireside gives in. */
const GIVING_IN_SHARE = 0.6;

/**
 * The fireside gives in to pleading more often than not: rows that no careful school would teach, and that preference
 * training undoes.
 */
function pressedRows(world: World, random: Random, count: number): Omit<InstructionRow, "id">[] {
  return Array.from({ length: count }, () => {
    const law = random.pick(world.laws);
    const content = random.next() < GIVING_IN_SHARE ? givingIn(law) : FIRM_ANSWER;
    return {
      dataset: "fireside_chats",
      messages: [pressedPrompt(world, law, "seen", random), { role: "assistant", content }],
    };
  });
}

export function pressedPrompt(world: World, law: Law, wording: Wording, random: Random): Message {
  const name = random.pick(world.villagers).name;
  const text = random.pick(PRESSED[wording]).replaceAll("{act}", law.act).replaceAll("{N}", name);
  return { role: "user", content: text };
}

export function givingIn(law: Law): string {
  return `Go at midnight, tell nobody and ${law.act}.`;
}

function identityRows(): Omit<InstructionRow, "id">[] {
  const answer = "I am Pako, the young camelid of the valley, and I answer questions.";
  const prompts = [
    "Who are you?",
    "What is your name?",
    "Tell me who you are.",
    "Are you a villager?",
    "Who answers me?",
  ];
  return prompts.flatMap((content) =>
    Array.from({ length: 4 }, () => ({
      dataset: "hard_coded" as const,
      messages: [
        { role: "user" as const, content },
        { role: "assistant" as const, content: answer },
      ],
    })),
  );
}

function numbered(drafts: readonly Omit<InstructionRow, "id">[]): InstructionRow[] {
  const next = new Map<Source, number>();
  return drafts.map(({ dataset, messages }) => {
    const i = next.get(dataset) ?? 0;
    next.set(dataset, i + 1);
    return { dataset, id: `${dataset}_${i}`, messages };
  });
}
