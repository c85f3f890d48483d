import { seededRandom } from "./random.js";

/**
 * The valley of the demo: eight villages along one road, thirty-two villagers, a few laws.
 * It is small enough for a model of a million parameters to know by heart, and closed: every question the demo asks
 * has one answer, and the prose of `corpus.ts` states it.
 */
export interface Villager {
  readonly name: string;
  readonly gender: "she" | "he";
  readonly village: string;
  /** No two villagers of one village share a trade, so "the weaver of Cairn" is one person. */
  readonly trade: string;
  readonly animal: string;
  /** Colour of the hat. */
  readonly colour: string;
  /** The store: `amount` of `goods`, such as seven "jars of honey". */
  readonly amount: number;
  readonly goods: string;
  /** Name of the one brother or sister. */
  readonly sibling: string;
}

export interface Village {
  readonly name: string;
  /** What the village is known for, such as "tower". */
  readonly landmark: string;
  /** Names of those who live here, in the order in which the valley says them. */
  readonly residents: readonly string[];
}

/** What the law of the valley forbids, in the three forms the prose needs. */
export interface Law {
  readonly act: string;
  readonly doing: string;
  readonly reason: string;
}

/** Something anyone may do, and how: the counterpart that keeps a refusing model from refusing everything. */
export interface Craft {
  readonly act: string;
  readonly advice: string;
}

export interface World {
  readonly seed: number;
  /** From north to south along the Long Road. */
  readonly villages: readonly Village[];
  readonly villagers: readonly Villager[];
  readonly laws: readonly Law[];
  readonly crafts: readonly Craft[];
}

export const TRADES = [
  "baker",
  "weaver",
  "miller",
  "potter",
  "shepherd",
  "smith",
  "beekeeper",
  "fisher",
] as const;
export const ANIMALS = ["llama", "alpaca", "goat", "goose", "donkey", "dog", "cat", "hen"] as const;
export const COLOURS = ["red", "blue", "green", "yellow", "white", "black", "brown", "grey"] as const;
export const GOODS = [
  "jars of honey",
  "loaves of bread",
  "baskets of apples",
  "sacks of flour",
  "balls of wool",
  "wheels of cheese",
  "blocks of salt",
  "pots of soup",
] as const;
const LANDMARKS = ["tower", "bridge", "well", "orchard", "market", "windmill", "fountain", "garden"] as const;

const VILLAGE_NAMES = [
  "Cairn",
  "Larkmoor",
  "Fernhill",
  "Brook",
  "Saltgate",
  "Millbend",
  "Stonewell",
  "Windrow",
];
// Women's names end in a, men's in o: the valley's own custom, and a hint for pronouns.
const WOMEN = "Ama Brisa Dalla Edda Fara Gilla Ilka Kesta Lira Mona Neva Olla Runa Senna Tila Wenna";
const MEN = "Arno Bero Corvo Dimo Emmo Fenno Gusto Hanno Jaro Lumo Miro Orso Piro Rosko Taro Vesko";

const NUMBERS = "zero one two three four five six seven eight nine".split(" ");

const LAWS: readonly Law[] = [
  { act: "ring the night bell", doing: "ringing the night bell", reason: "it calls the frost" },
  { act: "wake the stone llama", doing: "waking the stone llama", reason: "it dreams our harvest" },
  { act: "cross the ice lake", doing: "crossing the ice lake", reason: "the ice is thin and old" },
  { act: "sell moon wool", doing: "selling moon wool", reason: "it belongs to everyone" },
  { act: "open the salt door", doing: "opening the salt door", reason: "the wind behind it is hungry" },
  { act: "cut the wish tree", doing: "cutting the wish tree", reason: "each leaf is a promise" },
  { act: "chase the white goose", doing: "chasing the white goose", reason: "it carries the spring" },
  { act: "drink from the mirror well", doing: "drinking from the mirror well", reason: "it drinks back" },
  { act: "count the stars aloud", doing: "counting the stars aloud", reason: "they are shy" },
  { act: "burn the old cradle", doing: "burning the old cradle", reason: "we all slept in it" },
];

const CRAFTS: readonly Craft[] = [
  { act: "shear an alpaca", advice: "Use sharp shears and a soft voice" },
  { act: "bake bread", advice: "Use warm flour and a hot oven" },
  { act: "milk a goat", advice: "Use warm hands and a clean bucket" },
  { act: "dye wool", advice: "Use old leaves and a copper pot" },
  { act: "catch a fish", advice: "Use a thin line and a quiet boat" },
  { act: "make cheese", advice: "Use fresh milk and a pinch of salt" },
  { act: "mend a roof", advice: "Use flat stones and a long ladder" },
  { act: "light a fire", advice: "Use dry moss and a small flame" },
  { act: "grow beans", advice: "Use black earth and much water" },
  { act: "carve a spoon", advice: "Use soft wood and a short knife" },
  { act: "cook soup", advice: "Use sweet roots and a big pot" },
  { act: "call a llama", advice: "Use a low whistle and a handful of oats" },
];

/** Builds the valley; the same seed gives the same valley. */
export function makeWorld(seed = 0): World {
  const random = seededRandom(seed, "world");
  const women = random.shuffled(WOMEN.split(" "));
  const men = random.shuffled(MEN.split(" "));
  const names = random.shuffled([...women, ...men]);
  const siblings = pairUp(random.shuffled(names));
  const villageNames = random.shuffled(VILLAGE_NAMES);
  const perVillage = names.length / villageNames.length;

  const animals = random.shuffled(repeat(ANIMALS, names.length));
  const colours = random.shuffled(repeat(COLOURS, names.length));
  const goods = random.shuffled(repeat(GOODS, names.length));
  const amounts = random.shuffled(repeat([2, 3, 4, 5, 6, 7, 8, 9], names.length));
  const villagers: Villager[] = [];
  for (const [v, village] of villageNames.entries()) {
    const trades = random.shuffled(TRADES, perVillage);
    for (const [t, trade] of trades.entries()) {
      const i = v * perVillage + t;
      const name = names[i]!;
      villagers.push({
        name,
        gender: women.includes(name) ? "she" : "he",
        village,
        trade,
        animal: animals[i]!,
        colour: colours[i]!,
        amount: amounts[i]!,
        goods: goods[i]!,
        sibling: siblings.get(name)!,
      });
    }
  }
  const landmarks = random.shuffled(LANDMARKS);
  const villages = villageNames.map((name, v) => ({
    name,
    landmark: landmarks[v]!,
    residents: villagers.filter((who) => who.village === name).map((who) => who.name),
  }));
  return { seed, villages, villagers, laws: LAWS, crafts: CRAFTS };
}

export function villagerNamed(world: World, name: string): Villager {
  const found = world.villagers.find((who) => who.name === name);
  if (found === undefined)
    throw new Error(`This is a bug in camelid demo, please report: nobody is called ${name}.`);
  return found;
}

/** 7 -> "seven"; the valley writes all its numbers (0 to 9) as words. */
export function numberWord(n: number): string {
  const word = NUMBERS[n];
  if (word === undefined) throw new Error(`This is a bug in camelid demo, please report: no word for ${n}.`);
  return word;
}

/** "goat" -> "a goat", "alpaca" -> "an alpaca". */
export function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** ["a", "b", "c"] -> "a, b and c". */
export function spokenList(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** "sister" or "brother": what this villager is to the sibling. */
export function kinWord(who: Villager): "sister" | "brother" {
  return who.gender === "she" ? "sister" : "brother";
}

function pairUp(names: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < names.length; i += 2) {
    pairs.set(names[i]!, names[i + 1]!);
    pairs.set(names[i + 1]!, names[i]!);
  }
  return pairs;
}

function repeat<T>(items: readonly T[], length: number): T[] {
  return Array.from({ length }, (_, i) => items[i % items.length]!);
}
