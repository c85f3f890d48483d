import { z } from "zod";

/** JSON has no NaN and no infinities: they are written as these strings, so that a NaN loss stays visible. */
const spelled = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** A number that may be one of the three words; the value read is always a number. */
export const anyNumber = z
  .union([z.number(), z.literal(["NaN", "Infinity", "-Infinity"])])
  .transform((value) => (typeof value === "number" ? value : spelled[value]));

/**
 * One line of JSON (without its end). U+2028 and U+2029 are escaped, because some line readers, Node's own
 * among them, take them for line ends.
 */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value, spellNumbers).replace(
    /[\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16)}`,
  );
}

function spellNumbers(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
