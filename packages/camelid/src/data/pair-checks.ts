/** What can be wrong with preference pairs that are each usable by themselves. */
import { createHash } from "node:crypto";
import type { Check } from "../run/checks.js";
import type { TokenRow } from "./collate.js";
import type { PairAccount, PairRow } from "./pair-rows.js";

/** Preferred answers longer than the others by this much teach length before anything else. */
const MUCH_LONGER = 1.3;

/** How long both sides are. A preference for longer answers is learned first, whatever else the pairs prefer. */
export function sideLengthsCheck(account: readonly PairAccount[]): Check {
  const name = "side lengths";
  const sum = (key: "pairs" | "chosenTokens" | "rejectedTokens") =>
    account.reduce((total, source) => total + source[key], 0);
  const [pairs, chosen, rejected] = [sum("pairs"), sum("chosenTokens"), sum("rejectedTokens")];
  const ratio = chosen / rejected;
  const detail = `preferred answers have ${(chosen / pairs).toFixed(0)} tokens on average, the others ${(rejected / pairs).toFixed(0)} (${ratio.toFixed(2)}x)`;
  if (ratio <= MUCH_LONGER) return { name, status: "ok", detail };
  const fix =
    "answers will get longer; `lossType dpo-norm` takes means per token, and the end of the run tells what happened.";
  return { name, status: "warn", detail, fix };
}

/** Pairs that `maxSeqLen` shortens; a preferred answer without its end teaches not to stop. @param chosenCut their lines */
export function pairCutCheck(
  account: readonly PairAccount[],
  chosenCut: readonly string[],
  maxSeqLen: number,
): Check {
  const name = "length";
  const sum = (key: "pairs" | "cut") => account.reduce((total, source) => total + source[key], 0);
  if (sum("cut") === 0)
    return { name, status: "ok", detail: `no side is longer than ${maxSeqLen} tokens; nothing is cut` };
  const lines = excerpt(chosenCut);
  const detail =
    `${sum("cut")} of ${sum("pairs")} pairs are cut at ${maxSeqLen} tokens` +
    (chosenCut.length === 0 ? "" : `; ${chosenCut.length} preferred answers lose their end: ${lines}`);
  return { name, status: "warn", detail, fix: "raise maxSeqLen, or take these pairs out of the file." };
}

/** The same pair twice counts twice; a pair and its reverse pull in opposite directions. */
export function repeatedPairsCheck(pairs: readonly PairRow[]): Check {
  const name = "repeated pairs";
  const seen = new Map<string, PairRow>();
  const again: string[] = [];
  const against: string[] = [];
  for (const pair of pairs) {
    const [chosen, rejected] = [pair.chosen, pair.rejected].map(digest);
    if (seen.has(`${chosen} > ${rejected}`)) again.push(pair.id);
    const reverse = seen.get(`${rejected} > ${chosen}`);
    if (reverse !== undefined) against.push(`${reverse.id} and ${pair.id}`);
    seen.set(`${chosen} > ${rejected}`, pair);
  }
  if (again.length === 0 && against.length === 0)
    return { name, status: "ok", detail: `${pairs.length} pairs, none twice, none against another` };
  const parts = [
    ...(against.length > 0
      ? [`${against.length} pairs prefer the opposite of another: ${excerpt(against)}`]
      : []),
    ...(again.length > 0 ? [`${again.length} come twice: ${excerpt(again)}`] : []),
  ];
  const fix =
    "decide between opposite pairs; remove those that come twice, unless they are meant to count twice.";
  return { name, status: "warn", detail: parts.join("; "), fix };
}

/** Stands for the tokens of a side: a million pairs are compared without keeping a copy of them. */
function digest({ inputIds: { buffer, byteOffset, byteLength } }: TokenRow): string {
  return createHash("sha1")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("base64");
}

const excerpt = (items: readonly string[]): string =>
  items.length <= 3 ? items.join(", ") : `${items.slice(0, 3).join(", ")} and ${items.length - 3} more`;
