/**
 * The embedded database: reads Parquet and CSV, writes Parquet, answers queries over mixes.
 * Extensions are never downloaded (`autoinstall` off); Parquet and JSON are built in.
 */
import { basename } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { DataError } from "../../errors.js";

/** Kept small: the database works beside the converter, and spills to disk rather than grow. */
export interface DatabaseLimits {
  threads?: number;
  memoryLimit?: string;
  spillFolder?: string;
  /** Copy rows as they are read. Keeps their order only on one thread, where nothing can overtake. */
  streaming?: boolean;
}

/** Runs `work` on a fresh in-memory database and closes it. */
export async function withDatabase<T>(
  work: (connection: DuckDBConnection) => Promise<T>,
  { threads = 2, memoryLimit = "600MB", spillFolder, streaming = false }: DatabaseLimits = {},
): Promise<T> {
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    threads: streaming ? "1" : String(threads),
    ...(streaming && { preserve_insertion_order: "false" }),
    memory_limit: memoryLimit,
    ...(spillFolder === undefined ? {} : { temp_directory: spillFolder }),
  });
  try {
    const connection = await instance.connect();
    try {
      return await work(connection);
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** A string as a SQL literal. */
export function sql(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Copies a Parquet, CSV or TSV file to JSON lines, row order and every column kept.
 * @param shownAs the name errors use (`from` may be an unpacked copy)
 * @throws {DataError} when the file is truncated or its quoting is broken
 */
export async function copyTableToJsonLines(
  from: string,
  to: string,
  kind: "parquet" | "csv" | "tsv",
  shownAs: string,
  { csvHeader = true }: { csvHeader?: boolean } = {},
): Promise<void> {
  const copy = (maxLineSize: number, memoryLimit: string) =>
    withDatabase(
      async (connection) => {
        const table = tableOf(from, kind, csvHeader, maxLineSize);
        await connection.run(`COPY (SELECT * FROM ${table}) TO ${sql(to)} (FORMAT json)`);
      },
      { memoryLimit, streaming: true },
    );
  try {
    // A limit, not a need: Parquet pages are read whole, and some writers make one page of a whole row group.
    await copy(LINE_SIZE, kind === "parquet" ? "1500MB" : "600MB").catch((cause: Error) => {
      if (!/maximum line size/i.test(cause.message)) throw cause;
      return copy(LONG_LINE_SIZE, "1500MB"); // the reader keeps several lines of the largest size
    });
  } catch (cause) {
    const message = (cause as Error).message;
    if (message.startsWith("Out of Memory")) {
      throw new DataError(
        "ERR_DATA_ROW_GROUP",
        `${basename(shownAs)} has parts too large to unpack in 1.5 GB.`,
        {
          where: shownAs,
          fix: "write the file again with smaller row groups (a few ten thousand rows), or give JSON lines.",
          cause,
        },
      );
    }
    const line = /Line: (\d+)/.exec(message)?.[1];
    throw new DataError(
      kind === "parquet" ? "ERR_DATA_TRUNCATED" : "ERR_DATA_CSV",
      `${basename(shownAs)} cannot be read as ${kind}: ${firstLine(message)}`,
      {
        where: line === undefined ? shownAs : `${shownAs} line ${line}`,
        fix:
          kind === "parquet"
            ? "download it again; a Parquet file ends with the bytes PAR1."
            : line === undefined
              ? "check its quoting, and that all lines end alike (LF or CR LF)."
              : "check the quoting near that line.",
        cause,
      },
    );
  }
}

const LINE_SIZE = 2 << 20;
/** Longer CSV records are refused: one of that size is a missing quote far more often than data. */
const LONG_LINE_SIZE = 128 << 20;

/** Strings stay strings: type guessing would turn "007" into 7. TSV has no quoting in the wild. */
function tableOf(
  from: string,
  kind: "parquet" | "csv" | "tsv",
  header: boolean,
  maxLineSize: number,
): string {
  if (kind === "parquet") return `read_parquet(${sql(from)})`;
  const dialect = kind === "csv" ? `delim=',', quote='"', escape='"'` : `delim='\t', quote='', escape=''`;
  return `read_csv(${sql(from)}, header=${header}, all_varchar=true, parallel=false, max_line_size=${maxLineSize}, buffer_size=${4 * maxLineSize}, ${dialect})`;
}

function firstLine(text: string): string {
  return text.split("\n")[0]!.slice(0, 300);
}
