import type { JudgedRows } from "../data/judged-rows.js";

/** What a KTO run says of its data before its first step, in lines under 80 columns; tokens are means per row. */
export function describeJudged({ account, skipped }: Pick<JudgedRows, "account" | "skipped">): string {
  const width = Math.max(6, ...account.map(({ source }) => source.length));
  const lines = [`${"source".padEnd(width)}     good   tokens      bad   tokens   prompt    cut`];
  for (const one of account) {
    const { desirable, undesirable, desirableTokens, undesirableTokens, promptTokens, cut } = one;
    const mean = (tokens: number, rows: number): string => (rows === 0 ? "-" : (tokens / rows).toFixed(0));
    const columns = [
      ...[desirable.toLocaleString("en"), mean(desirableTokens, desirable)],
      ...[undesirable.toLocaleString("en"), mean(undesirableTokens, undesirable)],
      mean(promptTokens, desirable + undesirable),
    ].map((value) => value.padStart(9));
    lines.push(one.source.padEnd(width) + columns.join("") + String(cut).padStart(7));
  }
  if (skipped.length > 0)
    lines.push(
      `${skipped.length} rows are left out because they cannot be used (left-out.txt); the first:`,
      skipped[0]!.format(),
    );
  return lines.join("\n");
}
