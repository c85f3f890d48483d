/**
 * One job: a few megabytes of raw rows become finished JSON lines and what the mixer must know about each.
 * Pure but for reading the file, so jobs run on any thread and give one result.
 */
import { isUtf8 } from "node:buffer";
import { basename } from "node:path";
import { CamelidError, DataError } from "../../errors.js";
import { isText } from "../conversation.js";
import type { MixRecord } from "../preference.js";
import { sourceNamed } from "../sources/registry.js";
import { parseRow, type Source, type SourceOptions } from "../sources/source.js";
import { mapColumns } from "../sources/user-formats.js";
import type { Inspection, Inspector } from "./inspect.js";
import { jsonLine } from "./json-line.js";
import { lineOf, readRanges } from "./read-ranges.js";

export interface RowJob {
  readonly format: string;
  readonly dataset: string;
  readonly options: SourceOptions;
  readonly exempt: boolean;
  readonly files: readonly JobFile[];
  /** Per row: index into `files`, byte offset and byte length there. */
  readonly fileOf: Uint16Array;
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
  /** Row numbers in the file. */
  readonly rows: Uint32Array;
  /** Position of the first row; the others follow (or, with running ids, conversations are counted from it). */
  readonly firstPosition: number;
  /** One `random()` per row where the source draws. */
  readonly draws?: Float64Array;
  /** Written copies are not looked at again: no filter, no hashes. */
  readonly copy?: boolean;
}

export interface JobFile {
  /** The file people know, and the plain one to read. */
  readonly file: string;
  readonly path: string;
  readonly layout: "lines" | "array";
  readonly stem: string;
}

export interface RowJobResult {
  /** Lines of all records, each with its line feed; record i ends at `lineEnds[i]`. */
  readonly bytes: Uint8Array;
  readonly lineEnds: Uint32Array;
  /** Per record. */
  readonly records: readonly JobRecord[];
  readonly inspection: Inspection;
  readonly dropped: readonly { readonly index: number; readonly reasons: Readonly<Record<string, number>> }[];
  readonly bad: readonly BadRow[];
}

export interface JobRecord {
  readonly id: string;
  readonly dataset: string;
  /** Index into the job's rows. */
  readonly index: number;
  readonly step: string | undefined;
  readonly turns: number;
  readonly chars: number;
  readonly isPair: boolean;
}

export interface FilterHit {
  readonly keyword: string;
  /** A few words around it. */
  readonly excerpt: string;
}

export interface Contact {
  readonly benchmark: string;
  /** Id of the evaluation text, the part of it that was found, and the words found. */
  readonly item: string;
  readonly coverage: number;
  readonly text: string;
}

export interface BadRow {
  readonly index: number;
  readonly code: string;
  readonly message: string;
  readonly where: string;
  readonly fix: string | undefined;
}

export async function runJob(job: RowJob, inspector: Inspector): Promise<RowJobResult> {
  const source = sourceNamed(job.format);
  const bad: BadRow[] = [];
  const parsed = parseRows(job, source, bad);
  const tokenCounts = await countTexts(parsed, source, inspector);

  const dropped: { index: number; reasons: Readonly<Record<string, number>> }[] = [];
  const conversations: MixRecord[] = [];
  const indexes: number[] = [];
  const steps: (string | undefined)[] = [];
  for (let index = 0; index < job.rows.length; index++) {
    const row = parsed[index];
    if (row === undefined) continue;
    try {
      const made = source.convert(row.value, {
        dataset: job.dataset,
        position: job.firstPosition + (source.runningIds ? conversations.length : index),
        row: job.rows[index]!,
        stem: job.files[job.fileOf[index]!]!.stem,
        draw: job.draws?.[index] ?? 0,
        tokenCounts: tokenCounts[index] ?? NONE,
        options: job.options,
      });
      made.conversations.forEach(checkText);
      for (let k = 0; k < made.conversations.length; k++) {
        conversations.push(made.conversations[k]!);
        indexes.push(index);
        steps.push(made.steps?.[k]);
      }
      if (made.dropped !== undefined && Object.keys(made.dropped).length > 0)
        dropped.push({ index, reasons: made.dropped });
    } catch (error) {
      bad.push(badRow(job, index, error));
    }
  }
  bad.sort((a, b) => a.index - b.index);

  const inspection = await inspector.inspect(conversations, job.exempt || job.copy === true);
  const records = conversations.map(({ id, dataset, messages, pair }, i): JobRecord => {
    let chars = 0;
    for (const { content } of messages) chars += content.length;
    return {
      id,
      dataset,
      index: indexes[i]!,
      step: steps[i],
      turns: messages.length,
      chars,
      isPair: pair !== undefined,
    };
  });
  const { bytes, lineEnds } = encodeLines(conversations, inspector.json);
  return { bytes, lineEnds, records, inspection, dropped, bad };
}

const NONE: readonly number[] = [];

interface ParsedRow {
  readonly value: unknown;
}

function parseRows(job: RowJob, source: Source, bad: BadRow[]): (ParsedRow | undefined)[] {
  const rows: (ParsedRow | undefined)[] = new Array(job.rows.length);
  readRanges(job, (index, bytes) => {
    try {
      if (!isUtf8(bytes)) {
        throw new DataError(
          "ERR_DATA_ENCODING",
          `the row is not UTF-8 (first bad byte near byte ${badByte(bytes)} of the row).`,
          {
            fix: "convert the file to UTF-8, or leave the row out with --on-bad skip.",
          },
        );
      }
      const value = mapColumns(parseJson(bytes.toString("utf8")), job.options.columns);
      rows[index] = { value: parseRow(source, value) };
    } catch (error) {
      bad.push(badRow(job, index, error));
    }
  });
  return rows;
}

function checkText({ messages }: MixRecord): void {
  const at = messages.findIndex(({ content }) => !isText(content));
  if (at < 0) return;
  throw new DataError("ERR_DATA_ENCODING", "a message holds half of a surrogate pair, which is not text.", {
    where: `message ${at + 1}`,
    fix: "repair the row, or leave it out with --on-bad skip.",
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError("ERR_DATA_JSON", `not JSON: ${(cause as Error).message.slice(0, 160)}`, {
      fix: "repair the row, or leave it out with --on-bad skip.",
      cause,
    });
  }
}

function badByte(bytes: Buffer): number {
  let low = 0; // bytes[0, low) is UTF-8 up to a cut character
  let high = bytes.length;
  while (high - low > 8) {
    const middle = (low + high) >> 1;
    const cut = [0, 1, 2, 3].some((back) => isUtf8(bytes.subarray(0, middle - back)));
    if (cut) low = middle;
    else high = middle;
  }
  return low;
}

function badRow(job: RowJob, index: number, error: unknown): BadRow {
  if (!(error instanceof CamelidError) || error.exitCode === 1) throw error;
  const row = job.rows[index]!;
  const { file, path, layout } = job.files[job.fileOf[index]!]!;
  const line = () => lineOf(path, job.starts[index]!);
  // The lines of an array's unpacked copy are those of the file inside; the rows of a table have no lines.
  const place =
    layout === "array"
      ? `element ${row + 1}, line ${line()}`
      : /\.(parquet|csv|tsv|xlsx)$/i.test(file)
        ? `row ${row + 1}`
        : `line ${line()}`;
  const where = `${basename(file)} ${place}${error.where === undefined ? "" : `, ${error.where.replace(/^, /, "")}`}`;
  return { index, code: error.code, message: error.message, where, fix: error.fix };
}

async function countTexts(
  rows: readonly (ParsedRow | undefined)[],
  source: Source,
  inspector: Inspector,
): Promise<(readonly number[] | undefined)[]> {
  if (source.textsToCount === undefined) return [];
  const texts: string[] = [];
  const ends = rows.map((row) => {
    if (row !== undefined) for (const text of source.textsToCount!(row.value)) texts.push(text);
    return texts.length;
  });
  const counts = await inspector.countTokens(texts);
  return ends.map((end, i) => counts.slice(i === 0 ? 0 : ends[i - 1]!, end));
}

function encodeLines(conversations: readonly MixRecord[], style: "python" | "compact") {
  const lines = conversations.map((conversation) => jsonLine(conversation, style));
  const lineEnds = new Uint32Array(lines.length);
  let end = 0;
  if (style === "python") {
    // Pure ASCII: one byte a character.
    for (let i = 0; i < lines.length; i++) lineEnds[i] = end += lines[i]!.length;
    const bytes = Buffer.allocUnsafeSlow(end);
    for (let i = 0, at = 0; i < lines.length; i++) at += bytes.write(lines[i]!, at, "latin1");
    return { bytes, lineEnds };
  }
  for (let i = 0; i < lines.length; i++) lineEnds[i] = end += Buffer.byteLength(lines[i]!);
  const bytes = Buffer.allocUnsafeSlow(end);
  for (let i = 0, at = 0; i < lines.length; i++) at += bytes.write(lines[i]!, at, "utf8");
  return { bytes, lineEnds };
}
