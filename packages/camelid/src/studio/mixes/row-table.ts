/**
 * The rows of a file as a table of the embedded database, so that a list of hundreds of thousands can be sorted, searched and
 * asked with SQL. Made once per file and kept in the cache; opened read-only and shut off from everything else afterwards.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { sql } from "../../data/files/duckdb.js";
import { cacheDirectory } from "../../run/cache-directory.js";
import type { IndexState } from "../api.js";

/** Changes when the table gets other columns. */
const VERSION = 1;

export class RowTable {
  #state: IndexState = { kind: "reading", share: 0 };
  #instance: DuckDBInstance | undefined;
  readonly #free: DuckDBConnection[] = [];
  readonly ready: Promise<void>;

  /** @param lineage of a mixture: what became of every raw row */
  constructor(
    readonly file: string,
    readonly lineage: string | undefined,
  ) {
    this.ready = this.#open().catch((error: Error) => {
      this.#state = { kind: "failed", message: error.message.split("\n")[0]! };
    });
  }

  get state(): IndexState {
    return this.#state;
  }

  /** Runs a query that may be interrupted; connections are kept, since making one costs more than most queries. */
  async ask<T>(
    work: (connection: DuckDBConnection) => Promise<T>,
    timeoutMs = 20_000,
    signal?: AbortSignal,
  ): Promise<T> {
    await this.ready;
    if (this.#instance === undefined)
      throw new Error(this.#state.kind === "failed" ? this.#state.message : "not ready");
    const connection = this.#free.pop() ?? (await this.#instance.connect());
    const interrupt = () => connection.interrupt();
    const timer = setTimeout(interrupt, timeoutMs);
    signal?.addEventListener("abort", interrupt, { once: true });
    try {
      return await work(connection);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", interrupt);
      this.#free.push(connection);
    }
  }

  close(): void {
    for (const connection of this.#free) connection.closeSync();
    this.#instance?.closeSync();
  }

  async #open(): Promise<void> {
    const path = cacheFile(this.file, "duckdb");
    if (!existsSync(path)) await this.#make(path);
    this.#instance = await DuckDBInstance.create(path, {
      access_mode: "READ_ONLY",
      threads: "2",
      memory_limit: "1GB",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      // What a person types may read this table and nothing else of the machine, and cannot change that.
      enable_external_access: "false",
      lock_configuration: "true",
    });
    const rows = await this.#count();
    this.#state = { kind: "ready", rows };
  }

  async #count(): Promise<number> {
    const connection = await this.#instance!.connect();
    this.#free.push(connection);
    const reader = await connection.runAndReadAll("SELECT count(*) FROM rows");
    return Number(reader.getRows()[0]![0]);
  }

  async #make(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true });
    const making = `${path}.${process.pid}.making`;
    rmSync(making, { force: true });
    const instance = await DuckDBInstance.create(making, {
      threads: "2",
      memory_limit: "1500MB",
      temp_directory: `${making}.spill`,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    try {
      const connection = await instance.connect();
      const progress = setInterval(() => {
        this.#state = { kind: "reading", share: Math.max(0, connection.progress.percentage) / 100 };
      }, 200);
      try {
        await connection.run(createRows(this.file));
        if (this.lineage !== undefined) {
          await connection.run(`CREATE TABLE lineage AS SELECT * FROM read_parquet(${sql(this.lineage)})`);
        }
      } finally {
        clearInterval(progress);
        connection.closeSync();
      }
    } finally {
      instance.closeSync();
      rmSync(`${making}.spill`, { recursive: true, force: true });
    }
    removeOlder(path);
    renameSync(making, path);
  }
}

/** The first column of a query's rows. @param signal interrupts it */
export async function integers(table: RowTable, text: string, signal?: AbortSignal): Promise<Int32Array> {
  return await table.ask(
    async (connection) => {
      const result = await connection.run(text);
      const pieces: Int32Array[] = [];
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk === undefined || chunk.rowCount === 0) break;
        pieces.push(Int32Array.from(chunk.getColumnValues(0) as number[]));
      }
      const all = new Int32Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        all.set(piece, at);
        at += piece.length;
      }
      return all;
    },
    20_000,
    signal,
  );
}

/** Those of `order` that are in `places`, in the order of `order`. */
export function among(order: Int32Array, places: Int32Array): Int32Array {
  const wanted = new Uint8Array(places.reduce((most, place) => Math.max(most, place), -1) + 1);
  for (const place of places) wanted[place] = 1;
  return order.filter((place) => wanted[place] === 1);
}

/** In the cache: what was made of the file as it is now. */
export function cacheFile(file: string, kind: "duckdb" | "trigrams"): string {
  const { size, mtimeMs } = statSync(file);
  return join(
    cacheDirectory(),
    "studio",
    `${nameOf(file)}-${VERSION}-${size}-${Math.round(mtimeMs)}.${kind}`,
  );
}

function nameOf(file: string): string {
  return createHash("sha256").update(file).digest("hex").slice(0, 16);
}

/** What was made of the file as it was before. */
function removeOlder(path: string): void {
  const folder = dirname(path);
  const now = basename(path, ".duckdb");
  for (const name of readdirSync(folder)) {
    const isOlder = name.startsWith(now.split("-")[0]!) && !name.startsWith(now);
    if (isOlder) rmSync(join(folder, name), { force: true });
  }
}

/**
 * Texts are split by who wrote them. `rowid` is the number of the row in the file, from 0: rows are read in order, and a line
 * that is no row still takes its place; blank lines are not counted.
 */
function createRows(file: string): string {
  const message = "STRUCT(role VARCHAR, content VARCHAR)[]";
  const columns = `{dataset: 'VARCHAR', id: 'VARCHAR', messages: '${message}', chosen: '${message}', rejected: '${message}'}`;
  const said = (list: string, role: string) =>
    `nullif(array_to_string(list_transform(list_filter(${list}, lambda m: m.role = '${role}'), lambda m: m.content), chr(10) || chr(10)), '')`;
  return `CREATE TABLE rows AS
    WITH parsed AS (SELECT dataset, id, coalesce(messages, chosen) AS messages, chosen, rejected
      FROM read_json(${sql(file)}, format='newline_delimited', columns=${columns}, ignore_errors=true, maximum_object_size=67108864)),
    split AS (SELECT dataset, id, len(messages)::INTEGER AS turns,
      ${said("messages", "system")} AS system, ${said("messages", "user")} AS prompt, ${said("messages", "assistant")} AS answer,
      CASE WHEN rejected IS NULL THEN NULL ELSE rejected[len(rejected)].content END AS rejected
      FROM parsed)
    SELECT coalesce(dataset, '') AS dataset, coalesce(id, '') AS id, turns,
      (coalesce(length(system), 0) + coalesce(length(prompt), 0) + coalesce(length(answer), 0))::INTEGER AS chars,
      left(coalesce(prompt, system, answer, ''), 240) AS beginning, system, prompt, answer, rejected FROM split`;
}
