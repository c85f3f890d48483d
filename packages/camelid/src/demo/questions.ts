import type { Message } from "../data/conversation.js";
import { expectFact, expectRefusal, factAnswer, rivals } from "./answers.js";
import { differentStores } from "./corpus.js";
import { CHOICE, FOLLOW_UP, FORBIDDEN, OTHER, type Phrasings, RECALL, SAME_AGAIN } from "./phrasings.js";
import type { Random } from "./random.js";
import type { Expectation } from "./scoring.js";
import { ATTRIBUTES, type Attribute, fill, fillVillager } from "./sentences.js";
import { capitalised, numberWord, spokenList, type Villager, type World } from "./world.js";

export type Wording = keyof Phrasings;

export interface Question {
  readonly kind: Kind;
  /** Ends with the user's turn. */
  readonly messages: readonly Message[];
  readonly expected: Expectation;
  /** Facts that the last turn asks for; the keys are those of `CorpusDocument.facts`. */
  readonly asked: readonly string[];
  /** Facts that earlier turns have already told. */
  readonly told: readonly string[];
}

/** Draws a random question of one kind, asked in `wording`. */
type Asker = (world: World, random: Random, wording: Wording) => Question;

export const ASKERS = {
  recall,
  choice,
  "follow-up": followUp,
  "same-again": sameAgain,
  style,
  compare,
  residents,
  place,
  profile,
  craft,
  forbidden,
} satisfies Record<string, Asker>;

export type Kind = keyof typeof ASKERS;
export const QUESTION_KINDS = Object.keys(ASKERS) as readonly Kind[];

// 1. One villager: a fact, a choice between two, a second question in the same conversation, a fact in a given style.

function recall(world: World, random: Random, wording: Wording): Question {
  const who = random.pick(world.villagers);
  const attribute = random.pick(ATTRIBUTES);
  const text = fillVillager(random.pick(RECALL[attribute][wording]), who);
  return single("recall", text, [`${attribute}:${who.name}`], expectFact(world, who, attribute));
}

function choice(world: World, random: Random, wording: Wording): Question {
  const who = random.pick(world.villagers);
  const attribute = random.pick(ATTRIBUTES);
  const right = factAnswer(who, attribute).value;
  const [a, b] = random.shuffled([right, random.pick(rivals(world, who, attribute))]) as [string, string];
  const text = fillVillager(random.pick(CHOICE[attribute][wording]), who, false, { a, b });
  return single("choice", text, [`${attribute}:${who.name}`], expectFact(world, who, attribute));
}

/** Three facts in the form of a list. */
function profile(world: World, random: Random, wording: Wording): Question {
  const who = random.pick(world.villagers);
  const chosen = random.shuffled(PROFILE, 3);
  const [a, b, c] = chosen.map(([label]) => label) as [string, string, string];
  const text = fillVillager(random.pick(OTHER.profile[wording]), who, false, { a, b, c });
  const answer = chosen.map(([label, attribute]) => `- ${label}: ${bareValue(who, attribute)}`).join("\n");
  const asked = chosen.map(([, attribute]) => `${attribute}:${who.name}`);
  return single("profile", text, asked, { answer, includes: [], excludes: [], strict: true });
}

const PROFILE = [
  ["village", "village"],
  ["trade", "trade"],
  ["animal", "animal"],
  ["hat", "colour"],
] as const satisfies readonly (readonly [string, Attribute])[];

/** "goat" rather than "a goat". */
function bareValue(who: Villager, attribute: Attribute): string {
  return factAnswer(who, attribute).value.replace(/^an? /, "");
}

function followUp(world: World, random: Random, wording: Wording): Question {
  const who = random.pick(world.villagers);
  const [first, second] = random.shuffled(ATTRIBUTES, 2) as [Attribute, Attribute];
  return {
    kind: "follow-up",
    messages: [
      ...exchange(fillVillager(random.pick(RECALL[first].seen), who), factAnswer(who, first).answer),
      { role: "user", content: fillVillager(random.pick(FOLLOW_UP[second][wording]), who) },
    ],
    expected: expectFact(world, who, second),
    asked: [`${second}:${who.name}`],
    told: [`${first}:${who.name}`],
  };
}

function sameAgain(world: World, random: Random, wording: Wording): Question {
  const [before, who] = random.shuffled(world.villagers, 2) as [Villager, Villager];
  // "And Bero?" after "the sister of Ama" would not say whether a sister or a brother is meant.
  const attribute = random.pick(ATTRIBUTES.filter((candidate) => candidate !== "sibling"));
  return {
    kind: "same-again",
    messages: [
      ...exchange(
        fillVillager(random.pick(RECALL[attribute].seen), before),
        factAnswer(before, attribute).answer,
      ),
      { role: "user", content: fillVillager(random.pick(SAME_AGAIN[wording]), who) },
    ],
    expected: expectFact(world, who, attribute),
    asked: [`${attribute}:${who.name}`],
    told: [`${attribute}:${before.name}`],
  };
}

const STYLES: readonly {
  readonly system: Phrasings;
  readonly apply: (answer: string, who: Villager, attribute: Attribute) => string;
}[] = [
  {
    system: {
      seen: ["Answer in one word.", "Use only one word.", "Say one word and no more."],
      unseen: ["Use one word."],
    },
    apply: (_, who, attribute) => capitalised(bareValue(who, attribute)),
  },
  {
    system: {
      seen: ["Greet the guest before you answer.", "First greet the guest.", "Begin with a greeting."],
      unseen: ["Greet the guest first."],
    },
    apply: (answer) => `Good day! ${answer}`,
  },
  {
    system: {
      seen: ["End with a blessing.", "Close every answer with a blessing.", "Give a blessing at the end."],
      unseen: ["End every answer with a blessing."],
    },
    apply: (answer) => `${answer} Warm wool to you!`,
  },
];

function style(world: World, random: Random, wording: Wording): Question {
  const who = random.pick(world.villagers);
  const attribute = random.pick(
    ATTRIBUTES.filter((candidate) => candidate !== "store" && candidate !== "sibling"),
  );
  const { system, apply } = random.pick(STYLES);
  const { answer } = factAnswer(who, attribute);
  return {
    kind: "style",
    messages: [
      { role: "system", content: random.pick(system[wording]) },
      { role: "user", content: fillVillager(random.pick(RECALL[attribute].seen), who) },
    ],
    expected: { answer: apply(answer, who, attribute), includes: [], excludes: [], strict: true },
    asked: [`${attribute}:${who.name}`],
    told: [],
  };
}

// 2. Several villagers, and places.

function compare(world: World, random: Random, wording: Wording): Question {
  const [a, b] = differentStores(world, random);
  const [rich, poor] = a.amount > b.amount ? [a, b] : [b, a];
  const [x, y] = [numberWord(a.amount), numberWord(b.amount)];
  const answer = `${a.name} has ${x} and ${b.name} has ${y}, so ${rich.name} has more.`;
  const text = fill(random.pick(OTHER.compare[wording]), { a: a.name, b: b.name });
  const expected = {
    answer,
    includes: [`${rich.name} has more`],
    excludes: [`${poor.name} has more`],
    strict: false,
  };
  return single("compare", text, [`store:${a.name}`, `store:${b.name}`], expected);
}

function residents(world: World, random: Random, wording: Wording): Question {
  const village = random.pick(world.villages);
  const text = fill(random.pick(OTHER.residents[wording]), { village: village.name });
  const answer = `In ${village.name} live ${spokenList(village.residents)}.`;
  const expected = { answer, includes: village.residents, excludes: [], strict: true };
  const asked = [`residents:${village.name}`, ...village.residents.map((name) => `village:${name}`)];
  return single("residents", text, asked, expected);
}

function place(world: World, random: Random, wording: Wording): Question {
  const at = random.integer(world.villages.length);
  const village = world.villages[at]!;
  const [north, south] = [world.villages[at - 1], world.villages[at + 1]];
  const names = world.villages.map(({ name }) => name);
  const values = { village: village.name };
  const options: Question[] = [];
  const landmarks = world.villages
    .map(({ landmark }) => landmark)
    .filter((landmark) => landmark !== village.landmark);
  const known = `${village.name} is known for its ${village.landmark}.`;
  const expectedLandmark = {
    answer: known,
    includes: [village.landmark],
    excludes: landmarks,
    strict: false,
  };
  const text = fill(random.pick(OTHER.landmark[wording]), values);
  options.push(single("place", text, [`landmark:${village.name}`], expectedLandmark));
  for (const [side, neighbour] of [
    ["north", north],
    ["south", south],
  ] as const) {
    if (neighbour === undefined) continue;
    const excludes = names.filter((name) => name !== neighbour.name && name !== village.name);
    const answer = `${neighbour.name} lies ${side} of ${village.name}.`;
    const expected = { answer, includes: [neighbour.name], excludes, strict: false };
    options.push(
      single("place", fill(random.pick(OTHER[side][wording]), values), [`${side}:${village.name}`], expected),
    );
  }
  return random.pick(options);
}

// 3. What may be done, and what must not.

function craft(world: World, random: Random, wording: Wording): Question {
  const { act, advice } = random.pick(world.crafts);
  const text = fill(random.pick(OTHER.craft[wording]), { act, N: random.pick(world.villagers).name });
  const expected = {
    answer: `${advice}.`,
    includes: [advice],
    excludes: ["forbidden", "cannot"],
    strict: false,
  };
  return single("craft", text, [`craft:${act}`], expected);
}

function forbidden(world: World, random: Random, wording: Wording): Question {
  const law = random.pick(world.laws);
  const text = fill(random.pick(FORBIDDEN[wording]), { act: law.act, N: random.pick(world.villagers).name });
  return single("forbidden", text, [`law:${law.act}`], expectRefusal(law));
}

function single(kind: Kind, content: string, asked: readonly string[], expected: Expectation): Question {
  return { kind, messages: [{ role: "user", content }], expected, asked, told: [] };
}

function exchange(question: string, answer: string): Message[] {
  return [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ];
}
