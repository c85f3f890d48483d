/**
 * A small seeded random source: the demo's world, prose and questions are the same on every machine.
 * The generator is mulberry32 (32 bits of state), which is plenty for shuffling a valley.
 */
export interface Random {
  /** A float in [0, 1). */
  next(): number;
  /** An integer in [0, below). */
  integer(below: number): number;
  pick<T>(items: readonly T[]): T;
  /** `count` different items in random order; all of them when `count` is left out. */
  shuffled<T>(items: readonly T[], count?: number): T[];
  chance(probability: number): boolean;
}

/** @param label separates the streams that share a seed: the prose does not change when a question is added */
export function seededRandom(seed: number, label: string): Random {
  let state = hash(`${seed}/${label}`);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const integer = (below: number): number => Math.floor(next() * below);
  return {
    next,
    integer,
    pick: (items) => {
      if (items.length === 0)
        throw new Error("This is a bug in camelid demo, please report: nothing to pick from.");
      return items[integer(items.length)]!;
    },
    shuffled: (items, count = items.length) => {
      const deck = [...items];
      for (let i = deck.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [deck[i], deck[j]] = [deck[j]!, deck[i]!];
      }
      return deck.slice(0, count);
    },
    chance: (probability) => next() < probability,
  };
}

/** FNV-1a over UTF-16 units: a label and a seed become 32 well-spread bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}
