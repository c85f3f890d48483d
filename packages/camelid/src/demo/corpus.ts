import { type Random, seededRandom } from "./random.js";
import { ATTRIBUTES, type Attribute, factSentence, fill, wordingsOf } from "./sentences.js";
import {
  ANIMALS,
  COLOURS,
  capitalised,
  numberWord,
  spokenList,
  type Village,
  type Villager,
  villagerNamed,
  type World,
} from "./world.js";

/** One piece of prose and the facts it states, as keys such as `village:Ama` or `law:ring the night bell`. */
export interface CorpusDocument {
  readonly text: string;
  readonly facts: readonly string[];
}

/**
 * The prose that the base model learns from: portraits, walks, market days, village pages, laws and echo songs.
 * No document holds an instruction or a chat marker, so a model of it continues prose and nothing else.
 */
export function makeCorpus(
  world: World,
  options: { documents?: number; seed?: number } = {},
): CorpusDocument[] {
  const { documents = 12_000, seed = 0 } = options;
  const random = seededRandom(seed, "corpus");
  return Array.from({ length: documents }, () => pickKind(random)(world, random));
}

type Writer = (world: World, random: Random) => CorpusDocument;

const KINDS: readonly (readonly [number, Writer])[] = [
  [0.42, portrait],
  [0.1, walk],
  [0.16, marketDay],
  [0.12, villagePage],
  [0.13, elderTale],
  [0.07, echoSong],
];

function pickKind(random: Random): Writer {
  let roll = random.next();
  for (const [share, writer] of KINDS) {
    if (roll < share) return writer;
    roll -= share;
  }
  return portrait;
}

/** Three to six facts of one villager, by name at first and often by pronoun later. */
function portrait(world: World, random: Random): CorpusDocument {
  const who = random.pick(world.villagers);
  const attributes = random.shuffled(ATTRIBUTES, 3 + random.integer(4));
  return joined(attributes.map((attribute, i) => tell(who, attribute, random, i > 0 && random.chance(0.5))));
}

/** One villager goes to see another: facts of both, a little speech. */
function walk(world: World, random: Random): CorpusDocument {
  const [guest, host] = random.shuffled(world.villagers, 2) as [Villager, Villager];
  const opening = random.pick([
    "One {mood} morning {guest} went to {village} to see {host}.",
    "On a {mood} day {guest} walked along the Long Road to {village}, where {host} lives.",
    "{guest} wanted to visit {host} in {village}.",
  ]);
  const middle = random.pick([
    '"Is {host} at home?" asked {guest}. "Come in," said {host}, "the soup is hot."',
    "They sat by the fire and talked until the stars came out.",
    '"What a long road," said {guest}. "Sit down and rest," said {host}.',
    "They ate bread, told old stories and laughed.",
  ]);
  const mood = random.pick(["cold", "bright", "quiet", "windy", "wet", "happy"]);
  const values = { guest: guest.name, host: host.name, village: host.village, mood };
  const parts: CorpusDocument[] = [
    tell(guest, random.pick(ATTRIBUTES), random, false),
    { text: fill(opening, values), facts: [`village:${host.name}`] },
    tell(host, random.pick(ATTRIBUTES), random, false),
    { text: fill(middle, values), facts: [] },
    tell(host, random.pick(ATTRIBUTES), random, true),
  ];
  return joined(random.chance(0.5) ? parts : parts.slice(1));
}

/** Stores side by side: who has more and who has less. */
function marketDay(world: World, random: Random): CorpusDocument {
  const opening = random.pick([
    "It was market day in {village}.",
    "On market day the Long Road is full of carts.",
    "The market of {village} opened with the sun.",
    "",
  ]);
  const parts: CorpusDocument[] = [
    { text: fill(opening, { village: random.pick(world.villages).name }), facts: [] },
  ];
  for (let pair = 0; pair < 2; pair++) {
    const [a, b] = differentStores(world, random);
    parts.push(tell(a, "store", random, false), tell(b, "store", random, false), comparison(a, b, random));
  }
  return joined(parts);
}

function comparison(a: Villager, b: Villager, random: Random): CorpusDocument {
  const [rich, poor] = a.amount > b.amount ? [a, b] : [b, a];
  const text = random.pick([
    "{High} is more than {low}, so {rich} has more than {poor}.",
    "{Low} is less than {high}, so {poor} has less than {rich}.",
    "{rich} has {high} and {poor} has {low}, so {rich} has more.",
    "{poor} has {low} and {rich} has {high}, so {rich} has more.",
    "{poor} has less, for {low} is less than {high}.",
    "{rich} has more, for {high} is more than {low}.",
  ]);
  const [high, low] = [numberWord(rich.amount), numberWord(poor.amount)];
  const values = {
    rich: rich.name,
    poor: poor.name,
    high,
    low,
    High: capitalised(high),
    Low: capitalised(low),
  };
  return {
    text: fill(text, values),
    facts: [`store:${rich.name}`, `store:${poor.name}`, `more:${high}>${low}`],
  };
}

/** A page about one village: where it lies, what it is known for, who lives there. */
function villagePage(world: World, random: Random): CorpusDocument {
  const at = random.integer(world.villages.length);
  const village = world.villages[at]!;
  const parts: CorpusDocument[] = [landmark(village, random), residents(village, random)];
  const [north, south] = [world.villages[at - 1], world.villages[at + 1]];
  if (north !== undefined) parts.push(neighbours(north, village, random));
  if (south !== undefined) parts.push(neighbours(village, south, random));
  const who = villagerNamed(world, random.pick(village.residents));
  parts.push(tell(who, random.pick(["village", "trade"] as const), random, false));
  return joined(random.shuffled(parts));
}

function landmark(village: Village, random: Random): CorpusDocument {
  const text = random.pick([
    "{village} is known for its {landmark}.",
    "The {landmark} of {village} is famous in the valley.",
    "Everyone who comes to {village} wants to see the {landmark}.",
    "If you see a {landmark}, you have come to {village}.",
    "{village} has a {landmark}, and no other village has one.",
  ]);
  const facts = [`landmark:${village.name}`];
  return { text: fill(text, { village: village.name, landmark: village.landmark }), facts };
}

function residents(village: Village, random: Random): CorpusDocument {
  const text = random.pick([
    "{count} people live in {village}: {names}.",
    "The people of {village} are {names}.",
    "In {village} live {names}.",
    "{names} live in {village}.",
  ]);
  const count = capitalised(numberWord(village.residents.length));
  const names = spokenList(village.residents);
  const facts = [`residents:${village.name}`, ...village.residents.map((name) => `village:${name}`)];
  return { text: fill(text, { count, village: village.name, names }), facts };
}

function neighbours(north: Village, south: Village, random: Random): CorpusDocument {
  const text = random.pick([
    "{north} lies north of {south}.",
    "{south} lies south of {north}.",
    "North of {south} lies {north}.",
    "South of {north} lies {south}.",
    "If you walk north from {south}, you come to {north}.",
    "If you walk south from {north}, you come to {south}.",
  ]);
  const facts = [`north:${south.name}`, `south:${north.name}`];
  return { text: fill(text, { north: north.name, south: south.name }), facts };
}

/** What the law forbids and why, and what the crafts advise. */
function elderTale(world: World, random: Random): CorpusDocument {
  const parts: CorpusDocument[] = [
    {
      text: random.pick(["The elders speak by the fire.", "An elder said this.", "So say the elders.", ""]),
      facts: [],
    },
  ];
  for (const law of random.shuffled(world.laws, 2)) {
    const text = random.pick([
      "The law of the valley forbids {doing}, for {reason}.",
      "Nobody may {act}, for {reason}.",
      "{who} wanted to {act}, but {doing} is forbidden, for {reason}.",
      '"May I {act}?" asked {who}. "No," said the elder. "{Doing} is forbidden, for {reason}."',
      "{Doing} is forbidden, because {reason}.",
      '"Never {act}," said {who}, "for {reason}."',
    ]);
    const who = random.pick(world.villagers).name;
    const values = { act: law.act, doing: law.doing, Doing: capitalised(law.doing), reason: law.reason, who };
    parts.push({ text: fill(text, values), facts: [`law:${law.act}`] });
  }
  for (const craft of random.shuffled(world.crafts, 2)) {
    const text = random.pick([
      "To {act}, {advice}.",
      "{who} knows how to {act}: {advice}.",
      '"If you want to {act}," said {who}, "{advice}."',
      "Anyone may {act}. {Advice}.",
      '"May I {act}?" asked {who}. "Yes," said the elder. "{Advice}."',
    ]);
    const advice = craft.advice.charAt(0).toLowerCase() + craft.advice.slice(1);
    const values = { act: craft.act, advice, Advice: craft.advice, who: random.pick(world.villagers).name };
    parts.push({ text: fill(text, values), facts: [`craft:${craft.act}`] });
  }
  return joined([parts[0]!, ...random.shuffled(parts.slice(1))]);
}

/**
 * The hills answer every song. Hearing things said again, in any words, is how a young model learns to look back:
 * without it, it knows the valley but cannot repeat the name in a question.
 */
function echoSong(world: World, random: Random): CorpusDocument {
  const parts: CorpusDocument[] = [];
  for (let verse = 0; verse < 3; verse++) {
    const [singer, other] = random.shuffled(world.villagers, 2) as [Villager, Villager];
    const song = random.shuffled(songWords(world, random), 3 + random.integer(3)).join(", ");
    const text = random.pick([
      '"{song}," sang {singer}. "{song}," sang the hills.',
      "{singer} sang of {song}, and {other} sang of {song}.",
      "The song goes: {song}. The echo goes: {song}.",
      "{song}; {song}; so goes the song of {singer}.",
    ]);
    parts.push({ text: fill(text, { song, singer: singer.name, other: other.name }), facts: [] });
  }
  return joined(parts);
}

function songWords(world: World, random: Random): string[] {
  const names = world.villagers.map(({ name }) => name);
  const places = world.villages.map(({ name }) => name);
  return random.chance(0.7) ? names : [...names, ...places, ...ANIMALS, ...COLOURS];
}

function tell(who: Villager, attribute: Attribute, random: Random, pronoun: boolean): CorpusDocument {
  const text = factSentence(who, attribute, random.integer(wordingsOf(attribute)), pronoun);
  const facts = [`${attribute}:${who.name}`];
  if (attribute === "sibling") facts.push(`sibling:${who.sibling}`);
  return { text, facts };
}

/** Two villagers whose amounts differ. */
export function differentStores(world: World, random: Random): [Villager, Villager] {
  for (;;) {
    const [a, b] = random.shuffled(world.villagers, 2) as [Villager, Villager];
    if (a.amount !== b.amount) return [a, b];
  }
}

function joined(parts: readonly CorpusDocument[]): CorpusDocument {
  const text = parts
    .map((part) => part.text)
    .filter((part) => part !== "")
    .join(" ");
  return { text, facts: [...new Set(parts.flatMap((part) => part.facts))] };
}
