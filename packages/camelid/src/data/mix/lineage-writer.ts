/**
 * Lineage of every row: where it came from, what was done to it, where it went. Written as TSV while mixing,
 * turned into `lineage.parquet` at the end, asked with `camelid mix --explain ID`.
 */
import { type DatabaseLimits, sql, withDatabase } from "../files/duckdb.js";
import { BufferedFile } from "./buffered-file.js";

export type Fate =
  | "written"
  | "held-out"
  | "filtered"
  | "duplicate"
  | "near-duplicate"
  | "contaminated"
  | "over-quota"
  | "rejected"
  | "bad"
  | "not-sampled";

export interface LineageRow {
  /** Absent where no record was made. */
  readonly id?: string;
  readonly dataset: string;
  readonly source: string;
  readonly file: string;
  /** Row in the file, from 0; `rowEnd` closes a range of rows with one fate. */
  readonly row: number;
  readonly rowEnd?: number;
  readonly steps?: string;
  readonly fate: Fate;
  readonly reason?: string;
  /** Line in train.jsonl or held-out.jsonl, from 1. */
  readonly line?: number;
}

const COLUMNS =
  "{'id':'VARCHAR','dataset':'VARCHAR','source':'VARCHAR','file':'VARCHAR','row':'BIGINT','row_end':'BIGINT','steps':'VARCHAR','fate':'VARCHAR','reason':'VARCHAR','line':'BIGINT'}";

export class LineageWriter {
  readonly #file: BufferedFile;

  constructor(readonly path: string) {
    this.#file = new BufferedFile(path);
  }

  add({ id, dataset, source, file, row, rowEnd, steps, fate, reason, line }: LineageRow): void {
    this.#file.write(
      `${field(id)}\t${field(dataset)}\t${field(source)}\t${field(file)}\t${row}\t${rowEnd ?? row + 1}\t${field(steps)}\t${fate}\t${field(reason)}\t${line ?? ""}\n`,
    );
  }

  /** Closes the TSV and writes it as Parquet. */
  async finish(parquet: string, limits: DatabaseLimits): Promise<void> {
    this.#file.close();
    await withDatabase(async (connection) => {
      const table = `read_csv(${sql(this.path)}, delim='\t', quote='', escape='', header=false, auto_detect=false, nullstr='', columns=${COLUMNS}, max_line_size=8388608)`;
      await connection.run(
        `COPY (SELECT * FROM ${table}) TO ${sql(parquet)} (FORMAT parquet, COMPRESSION zstd)`,
      );
    }, limits);
  }
}

/** TSV without quoting: what would break the line becomes a space. */
function field(text: string | undefined): string {
  if (text === undefined) return "";
  return /[\t\n\r]/.test(text) ? text.replace(/[\t\n\r]/g, " ") : text;
}
