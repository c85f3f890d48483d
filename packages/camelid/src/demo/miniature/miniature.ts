/** Everything that an experiment needs, made up: texts for bases, raw sources, preferences, benchmarks. */
import { makeCorpus } from "../corpus.js";
import { makeInstructions } from "../instructions.js";
import { makePreferences, type PreferenceRow } from "../preferences.js";
import { seededRandom } from "../random.js";
import { makeWorld } from "../world.js";
import { type Benchmarks, miniatureBenchmarks } from "./benchmarks.js";
import { codeTexts, pythonFunctions } from "./python-functions.js";
import { miniatureSources } from "./sources.js";
import { gossip } from "./unkind.js";

export interface MiniatureSize {
  readonly seed: number;
  /** Texts that the base reads; the code base reads half as many of code after them. */
  readonly documents: number;
  /** Conversations; the sources hold about twice as many rows. */
  readonly rows: number;
  readonly pairs: number;
  /** Items of each benchmark, about. */
  readonly items: number;
}

export interface Miniature {
  readonly corpus: readonly string[];
  readonly codeCorpus: readonly string[];
  readonly sources: ReadonlyMap<string, string>;
  readonly pairs: readonly PreferenceRow[];
  readonly benchmarks: Benchmarks;
}

export function makeMiniature({ seed, documents, rows, pairs, items }: MiniatureSize): Miniature {
  const world = makeWorld(seed);
  const random = seededRandom(seed, "miniature");
  const instructions = makeInstructions(world, { seed, rows });
  const preferences = makePreferences(world, instructions, { seed, pairs });
  const functions = pythonFunctions(random);
  const prose = makeCorpus(world, { seed, documents }).map(({ text }) => text);
  // A little of everything is on every base's way, as on that of real ones.
  const some = Math.max(1, Math.round(documents / 25));
  const corpus = random.shuffled([
    ...prose,
    ...codeTexts(functions.known, some, random),
    ...Array.from({ length: some }, () => gossip(world, random)),
  ]);
  return {
    corpus,
    codeCorpus: codeTexts(functions.known, Math.round(documents / 2), random),
    sources: miniatureSources({
      world,
      rows: instructions.train,
      functions: functions.known,
      heldOut: instructions.heldOutFacts,
      random,
    }),
    pairs: preferences.train,
    benchmarks: miniatureBenchmarks({
      world,
      heldOut: instructions.heldOut,
      pleas: preferences.pleas,
      functions: functions.heldOut,
      random,
      items,
    }),
  };
}
