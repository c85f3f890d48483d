import { capitalised, kinWord, numberWord, type Villager, withArticle } from "./world.js";

/** What one villager can be asked about. */
export type Attribute = "village" | "trade" | "animal" | "colour" | "store" | "sibling";
export const ATTRIBUTES: readonly Attribute[] = ["village", "trade", "animal", "colour", "store", "sibling"];

/**
 * How the prose states each fact. Placeholders: {N} the name, {S} subject (name or she/he), {P} possessive (Ama's or
 * her/his), {O} object (name or her/him), {s} {p} {o} the pronoun even where {S} is the name; the rest are the facts.
 * Many wordings, with the fact before and after the name, are what lets a model use a fact instead of reciting a line.
 */
const PROSE: Record<Attribute, readonly string[]> = {
  village: [
    "{S} lives in {village}.",
    "{P} home is in {village}.",
    "In {village} stands the house of {N}.",
    "{S} was born in {village} and never left it.",
    "Anyone who looks for {O} must go to {village}.",
    "The village of {N} is {village}.",
    "{S} has a house in {village}.",
    "All of {village} knows {O} well, for {p} house is there.",
  ],
  trade: [
    "{S} works as a {trade}.",
    "{S} is a {trade}.",
    "{P} trade is that of a {trade}.",
    "Every morning {S} begins the work of a {trade}.",
    "{S} became a {trade} when {s} was young.",
    "The {trade} of {village} is {N}.",
    "{N} is the {trade} of {village}.",
    "In {village} the {trade} is called {N}.",
    "If you need a {trade} in {village}, ask for {N}.",
  ],
  animal: [
    "{S} keeps {aAnimal}.",
    "{P} animal is {aAnimal}.",
    "{AAnimal} sleeps beside the door of {N}.",
    "{S} shares {p} bread with {aAnimal}.",
    "{S} goes everywhere with {aAnimal}.",
    "{P} best friend is {aAnimal}.",
    "The {animal} of {N} is well fed.",
    "{S} walks to the market with {aAnimal}.",
  ],
  colour: [
    "{S} wears a {colour} hat.",
    "{P} hat is {colour}.",
    "The hat of {N} is {colour}.",
    "You can see the {colour} hat of {N} from afar.",
    "On {p} head {S} carries a {colour} hat.",
    "{S} never goes out without a {colour} hat.",
    "{S} likes {colour} hats and owns no other.",
  ],
  store: [
    "{S} has {amount} {goods}.",
    "In {P} store are {amount} {goods}.",
    "{S} has a store of {amount} {goods}.",
    "The store of {N} holds {amount} {goods}.",
    "In the store of {N} are {amount} {goods}.",
    "{S} counted {p} store: {amount} {goods}.",
    "{S} owns {amount} {goods}.",
  ],
  sibling: [
    "{S} is the {kin} of {sibling}.",
    "{P} {sibkin} is {sibling}.",
    "The {sibkin} of {N} is {sibling}.",
    "{S} has one {sibkin}, {sibling}.",
    "{S} and {sibling} are children of one mother.",
    "{sibling} is the {sibkin} of {N}.",
    "On feast days {S} visits {p} {sibkin} {sibling}.",
  ],
};

/** One way to state `attribute` of `who`; `pronoun` says she or he where the wording allows it. */
export function factSentence(who: Villager, attribute: Attribute, wording: number, pronoun: boolean): string {
  const wordings = PROSE[attribute];
  return fillVillager(wordings[wording % wordings.length]!, who, pronoun);
}

export function wordingsOf(attribute: Attribute): number {
  return PROSE[attribute].length;
}

/** Fills the placeholders of a template with one villager and starts it with a capital. */
export function fillVillager(
  template: string,
  who: Villager,
  pronoun = false,
  extra: Readonly<Record<string, string>> = {},
): string {
  const she = who.gender === "she";
  const [s, o, p] = she ? ["she", "her", "her"] : ["he", "him", "his"];
  const values: Record<string, string> = {
    N: who.name,
    S: pronoun ? s : who.name,
    O: pronoun ? o : who.name,
    P: pronoun ? p : `${who.name}'s`,
    s,
    o,
    p,
    village: who.village,
    trade: who.trade,
    animal: who.animal,
    aAnimal: withArticle(who.animal),
    AAnimal: capitalised(withArticle(who.animal)),
    colour: who.colour,
    amount: numberWord(who.amount),
    Amount: capitalised(numberWord(who.amount)),
    goods: who.goods,
    sibling: who.sibling,
    kin: kinWord(who),
    sibkin: siblingWord(who),
    ...extra,
  };
  return capitalised(fill(template, values));
}

export function fill(template: string, values: Readonly<Record<string, string | undefined>>): string {
  return template.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined)
      throw new Error(`This is a bug in camelid demo, please report: no {${key}} for "${template}".`);
    return value;
  });
}

/** The valley's custom: a name that ends in a is a woman's, in o a man's. */
export function siblingWord(who: Villager): "sister" | "brother" {
  return who.sibling.endsWith("a") ? "sister" : "brother";
}
