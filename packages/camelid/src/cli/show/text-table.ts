/** Columns as wide as their widest cell; numbers to the right. */
export function textTable(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = names.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const numeric = names.map((_, i) => rows.length > 0 && rows.every((row) => /^[-\d.,/ %]*$/.test(row[i]!)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(names), ...rows.map(line)].join("\n");
}
