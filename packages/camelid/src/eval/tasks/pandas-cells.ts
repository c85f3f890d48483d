/**
 * CSV cells as the paper's code printed them: it read the files with pandas' defaults, which take some words for missing
 * values (printed `nan`) and guess a number type for columns of numerals (`0.50` is printed `0.5`).
 */

const MISSING = new Set([
  "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
  "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
]); // biome-ignore format: a list

/** Rows as printed, column by column. All rows have equally many cells. */
export function pandasCells(rows: readonly (readonly string[])[]): string[][] {
  const columns = rows[0]?.length ?? 0;
  const printed = rows.map((row) => [...row]);
  for (let column = 0; column < columns; column++) {
    const print = printerOf(rows.map((row) => row[column]!));
    for (const row of printed) row[column] = print(row[column]!);
  }
  return printed;
}

function printerOf(cells: readonly string[]): (cell: string) => string {
  const known = cells.filter((cell) => !MISSING.has(cell));
  const gaps = known.length < cells.length;
  if (known.length > 0 && known.every((cell) => /^\s*[+-]?\d{1,18}\s*$/.test(cell))) {
    // A column with gaps cannot be of integers there: 3 is printed 3.0.
    return (cell) =>
      MISSING.has(cell) ? "nan" : gaps ? floatText(Number(cell)) : String(BigInt(cell.trim()));
  }
  if (known.length > 0 && known.every((cell) => /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(cell))) {
    return (cell) => (MISSING.has(cell) ? "nan" : floatText(Number(cell)));
  }
  return (cell) => (MISSING.has(cell) ? "nan" : cell);
}

/** Python's `repr` of a float. */
function floatText(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
