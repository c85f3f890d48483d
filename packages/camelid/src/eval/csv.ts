/** Comma-separated values with quoted fields that may hold line ends, as benchmark files have them. */
import { damaged } from "./data-folder.js";

/**
 * Rows of cells. Blank lines are skipped; a quote inside a quoted cell is doubled.
 * @param where the file, for the error
 * @throws {DataError} ERR_EVAL_DATA_DAMAGED when the file ends inside quotes
 */
export function parseCsv(text: string, where: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  let line = 1;
  let opened = 0;
  const endRow = () => {
    row.push(cell);
    if (row.length > 1 || cell !== "") rows.push(row);
    row = [];
    cell = "";
  };
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === "\n") line++;
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[i + 1] === '"') {
        cell += '"';
        i++;
      } else quoted = false;
    } else if (character === '"' && cell === "") {
      quoted = true;
      opened = line;
    } else if (character === ",") {
      row.push(cell);
      cell = "";
    } else if (character === "\n") endRow();
    else if (character !== "\r" || text[i + 1] !== "\n") cell += character;
  }
  if (quoted) throw damaged(`${where} line ${opened}`, "a quoted cell never ends");
  if (cell !== "" || row.length > 0) endRow();
  return rows;
}
