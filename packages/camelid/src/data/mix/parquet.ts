/** Record files as Parquet, for whoever queries or loads them elsewhere: columns `dataset`, `id`, `messages`. */
import { type DatabaseLimits, sql, withDatabase } from "../files/duckdb.js";
import type { RecordFile } from "./hashed-file.js";

const MESSAGES = `'STRUCT("role" VARCHAR, "content" VARCHAR)[]'`;
const COLUMNS = `{dataset: 'VARCHAR', id: 'VARCHAR', messages: ${MESSAGES}}`;
const PAIR_COLUMNS = `{dataset: 'VARCHAR', id: 'VARCHAR', chosen: ${MESSAGES}, rejected: ${MESSAGES}}`;

/** @param longestRow decides the reader's buffers: a 100 MB row needs them, a usual mixture does not */
export async function writeParquet(
  jsonl: string,
  parquet: string,
  { longestRow }: RecordFile,
  holdsPairs: boolean,
  { threads = 2, spillFolder }: DatabaseLimits,
): Promise<void> {
  const largest = Math.max(4 << 20, 2 * longestRow);
  const limits = {
    // Each thread keeps several lines of the largest size.
    threads: largest > 64 << 20 ? 1 : threads,
    memoryLimit: largest > 64 << 20 ? "3GB" : "900MB",
    ...(spillFolder !== undefined && { spillFolder }),
  };
  await withDatabase(async (connection) => {
    const table = `read_json(${sql(jsonl)}, format='newline_delimited', columns=${holdsPairs ? PAIR_COLUMNS : COLUMNS}, maximum_object_size=${largest})`;
    await connection.run(
      `COPY (SELECT * FROM ${table}) TO ${sql(parquet)} (FORMAT parquet, COMPRESSION zstd)`,
    );
  }, limits);
}
