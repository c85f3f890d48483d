/** The first sheet of a workbook as JSON lines: the header row gives the keys. */
import { createWriteStream } from "node:fs";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { readSheet } from "read-excel-file/node";
import { DataError } from "../../errors.js";

/** Cells keep their white space (`trim: false`), as pandas does; empty cells become null. */
export async function copySheetToJsonLines(file: string, to: string): Promise<void> {
  const sheet = await readSheet(file, { trim: false }).catch((cause: unknown) => {
    throw new DataError(
      "ERR_DATA_XLSX",
      `${basename(file)} is not a readable workbook: ${(cause as Error).message}`,
      {
        where: file,
        fix: "open it in a spreadsheet program and save it again as .xlsx, or save the sheet as CSV.",
        cause,
      },
    );
  });
  const [header = [], ...rows] = sheet;
  const keys = header.map((cell, i) => (cell === null ? `column ${i + 1}` : String(cell)));
  const lines = function* () {
    for (const row of rows)
      yield `${JSON.stringify(Object.fromEntries(keys.map((key, i) => [key, row[i] ?? null])))}\n`;
  };
  await pipeline(Readable.from(lines()), createWriteStream(to));
}
