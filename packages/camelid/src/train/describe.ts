/** What a run says before its first step, in lines under 80 columns. */
import type { TrainRows } from "../data/train-rows.js";

export function describeRows({ account, skipped }: TrainRows): string {
  const width = Math.max(6, ...account.map(({ source }) => source.length));
  const number = (value: number): string => value.toLocaleString("en").padStart(11);
  const lines = [`${"source".padEnd(width)}       rows     tokens    trained    cut`];
  for (const { source, rows, tokens, trainedTokens, rowsCut } of account) {
    lines.push(
      `${source.padEnd(width)}${number(rows)}${number(tokens)}${number(trainedTokens)}${String(rowsCut).padStart(7)}`,
    );
  }
  const sum = (key: "answerLost" | "nothingToTrain"): number =>
    account.reduce((total, entry) => total + entry[key], 0);
  if (sum("answerLost") > 0)
    lines.push(`${sum("answerLost")} rows lost every answer to maxSeqLen and are left out`);
  if (skipped.length > 0) {
    lines.push(`${skipped.length} rows are left out because they cannot be used (left-out.txt); the first:`);
    lines.push(skipped[0]!.format());
  }
  return lines.join("\n");
}
