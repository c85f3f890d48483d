import type { RowTable } from "./row-table.js";

/** Where a row of a mixture came from and what was done to it, from the mixture's lineage; null where that is not known (yet). */
export async function originOf(table: RowTable, place: number): Promise<string | null> {
  if (table.lineage === undefined || table.state.kind !== "ready") return null;
  return await table.ask(async (connection) => {
    const reader = await connection.runAndReadAll(
      `SELECT source, file, row, steps FROM lineage WHERE fate = 'written' AND line = ${place + 1} LIMIT 1`,
    );
    const [found] = reader.getRowsJson();
    if (found === undefined) return null;
    const [source, file, row, steps] = found;
    return `${source}: ${file} row ${Number(row) + 1}${steps ? `, ${steps}` : ""}`;
  });
}
