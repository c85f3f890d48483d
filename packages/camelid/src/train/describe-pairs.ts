import type { PairRows } from "../data/pair-rows.js";
import type { DataError } from "../errors.js";

/** What a DPO run says of its data before its first step, in lines under 80 columns; means are per pair, in tokens. */
export function describePairs({ account, skipped }: Pick<PairRows, "account" | "skipped">): string {
  const width = Math.max(6, ...account.map(({ source }) => source.length));
  const lines = [`${"source".padEnd(width)}    pairs   prompt   chosen rejected    cut`];
  for (const { source, pairs, promptTokens, chosenTokens, rejectedTokens, cut } of account) {
    const means = [promptTokens, chosenTokens, rejectedTokens].map((sum) => (sum / pairs).toFixed(0));
    const columns = [pairs.toLocaleString("en"), ...means, cut].map((value, i) =>
      String(value).padStart(i === 4 ? 7 : 9),
    );
    lines.push(source.padEnd(width) + columns.join(""));
  }
  if (skipped.length > 0)
    lines.push(
      `${skipped.length} pairs are left out because they cannot be used (left-out.txt); the first:`,
      skipped[0]!.format(),
    );
  return lines.join("\n");
}

/** Every row or pair that is left out, with its line and its reason: the file `left-out.txt` of a run. */
export function describeLeftOut(skipped: readonly DataError[]): string {
  return skipped.map(({ code, where, message }) => `${where ?? ""}\t${code}\t${message}\n`).join("");
}
