/** Which rows of a part are taken, and in which order: Python's draws, one function per kind. */
import { SettingsError } from "../../errors.js";
import type { Draw } from "../mixture.js";
import { PythonRandom } from "../python-random.js";

export interface DrawnRows {
  /** Row numbers in order; undefined means all of them in file order (no array is made for that). */
  readonly order: Uint32Array | undefined;
  readonly count: number;
}

export interface RandomStreams {
  /** The stream of the source at hand. */
  readonly main: PythonRandom;
  /** Streams that go on over several parts: the FLAN resampling script has one of its own. */
  grouped(group: string, seed: number): PythonRandom;
}

export function randomStreams(main: PythonRandom): RandomStreams {
  const groups = new Map<string, PythonRandom>();
  return {
    main,
    grouped(group, seed) {
      let stream = groups.get(group);
      if (stream === undefined) {
        stream = new PythonRandom(seed);
        groups.set(group, stream);
      }
      return stream;
    },
  };
}

/**
 * @param allowFewer take all rows where a part has fewer than its quota (the caller says so in the manifest)
 * @throws {SettingsError} when there are fewer rows than asked for and that is not allowed
 */
export function drawRows(
  draw: Draw,
  available: number,
  random: RandomStreams,
  allowFewer: boolean,
  part: string,
): DrawnRows {
  const all: DrawnRows = { order: undefined, count: available };
  if ("rows" in draw && available < draw.rows && !allowFewer) {
    throw new SettingsError(
      "ERR_MIX_TOO_FEW_ROWS",
      `${part} has ${available} rows, the mixture draws ${draw.rows}.`,
      {
        where: part,
        fix: "complete the file, or take all its rows with --allow-missing (the manifest will say so).",
      },
    );
  }
  switch (draw.kind) {
    case "all":
      return all;
    case "sample": {
      // The original samples only when there is something to leave out; `strict` sources call random.sample always.
      if (available < draw.rows || (available === draw.rows && !draw.strict)) return all;
      return { order: random.main.sampleIndexes(available, draw.rows), count: draw.rows };
    }
    case "shuffle":
      return firstOf(shuffled(random.main, available), draw.rows);
    case "sample-in-file-order": {
      if (available < draw.rows) return all;
      const order = random.grouped(draw.group, draw.seed).sampleIndexes(available, draw.rows);
      return { order: order.sort(), count: draw.rows };
    }
    case "until-quota":
      return firstOf(shuffled(random.main, available), available);
    default:
      throw new SettingsError("ERR_MIX_DRAW", `unknown draw ${JSON.stringify(draw satisfies never)}.`);
  }
}

function shuffled(random: PythonRandom, count: number): Uint32Array {
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  random.shuffle(order);
  return order;
}

function firstOf(order: Uint32Array, count: number): DrawnRows {
  return { order: order.subarray(0, count), count: Math.min(order.length, count) };
}
