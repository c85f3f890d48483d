import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError } from "../errors.js";
import type { Conversation, RowOrigin } from "./conversation.js";
import { parseConversation, SKIP_FIX } from "./conversation.js";

/** A conversation that knows its place in the file. */
export interface ConversationRow extends Conversation {
  origin: RowOrigin;
}

export interface ReadConversationsOptions {
  /** What a row that cannot be used does: `error` stops at the first, `skip` leaves it out and lists it. */
  onBad?: "error" | "skip";
  /** Rows to train on need an assistant message; prompts do not. */
  requireAssistant?: boolean;
}

export interface ReadConversations {
  rows: ConversationRow[];
  /** One error per row left out, in file order; always empty with `onBad: "error"`. */
  skipped: DataError[];
}

/**
 * Reads conversations from JSON lines or one JSON array, plain or `.gz`.
 *
 * A row without `dataset` takes the file's stem, a row without `id` takes `<stem>_<index>` with the index counted from 0
 * over all rows of the file.
 *
 * @throws {DataError} ERR_FILE_MISSING, ERR_FILE_DAMAGED, ERR_FILE_FORMAT, ERR_JSON, ERR_ROW_SHAPE, ERR_CHAT_EMPTY,
 *   ERR_CHAT_ROLE_ORDER, ERR_NO_TRAINED_TOKEN, ERR_NO_ROWS
 */
export async function readConversations(
  file: string,
  { onBad = "error", requireAssistant = false }: ReadConversationsOptions = {},
): Promise<ReadConversations> {
  const rows: ConversationRow[] = [];
  const skipped: DataError[] = [];
  const stem = fileStem(file);
  let index = 0;
  for await (const { origin, parse } of readRows(file)) {
    try {
      const conversation = parseConversation(parse(), origin, { dataset: stem, id: `${stem}_${index}` });
      if (requireAssistant) checkHasAssistant(conversation, origin);
      rows.push({ ...conversation, origin });
    } catch (error) {
      if (onBad === "error" || !(error instanceof DataError)) throw error;
      skipped.push(error);
    }
    index++;
  }
  if (rows.length === 0) throw noRows(file, index, skipped);
  return { rows, skipped };
}

/** One row before its JSON is parsed, so that a broken row stops nothing but itself. */
export interface RawRow {
  readonly origin: RowOrigin;
  /** @throws {DataError} ERR_JSON */
  parse(): unknown;
}

export async function* readRows(file: string): AsyncGenerator<RawRow> {
  if (TABLE.test(file)) {
    throw new DataError(
      "ERR_FILE_FORMAT",
      "this is a table; rows are read from JSON lines or a JSON array.",
      {
        where: file,
        fix: "turn it into conversations with `camelid mix`; a mixture has its rows in train.jsonl, too.",
      },
    );
  }
  const lines = readLines(file);
  let first = true;
  for await (const { text, line } of lines) {
    if (text.trim().length === 0) continue;
    if (first && text.trimStart().startsWith("[")) {
      yield* readArray(file, text, lines);
      return;
    }
    first = false;
    const origin: RowOrigin = { file, line, unit: "line" };
    yield { origin, parse: () => parseJson(text, `${file} line ${line}`, SKIP_FIX) };
  }
}

const TABLE = /\.(parquet|[ct]sv|xlsx)(\.gz)?$/i;

async function* readArray(file: string, first: string, rest: AsyncIterable<Line>): AsyncGenerator<RawRow> {
  const texts = [first];
  for await (const { text } of rest) texts.push(text);
  const items = parseJson(
    texts.join("\n"),
    file,
    "correct the file: it must hold one JSON array.",
  ) as unknown[];
  for (const [index, item] of items.entries()) {
    yield { origin: { file, line: index + 1, unit: "item" }, parse: () => item };
  }
}

function parseJson(text: string, where: string, fix: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError("ERR_JSON", `this is not JSON: ${(cause as Error).message}.`, { where, fix, cause });
  }
}

interface Line {
  text: string;
  /** 1-based. */
  line: number;
}

/** Splits at line feeds only: Node's own line reader also splits at U+2028, which JSON allows inside strings. */
async function* readLines(file: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const started: Buffer[] = [];
  let line = 1;
  const decode = (bytes: Buffer): string => {
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new DataError("ERR_FILE_DAMAGED", "the line is not UTF-8.", {
        where: `${file} line ${line}`,
        fix: "save the file as UTF-8.",
        cause,
      });
    }
  };
  for await (const chunk of await openBytes(file)) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      started.push(chunk.subarray(from, end));
      yield { text: decode(Buffer.concat(started)), line };
      started.length = 0;
      line++;
      from = end + 1;
    }
    started.push(chunk.subarray(from));
  }
  const last = decode(Buffer.concat(started));
  if (last.length > 0) yield { text: last, line };
}

const LINE_FEED = 0x0a;

async function openBytes(file: string): Promise<AsyncIterable<Buffer>> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new DataError("ERR_FILE_MISSING", "there is no such file.", {
      where: file,
      fix: "check the path.",
      cause,
    });
  });
  if (!found.isFile()) {
    throw new DataError("ERR_FILE_MISSING", "this is a folder, not a file of conversations.", {
      where: file,
      fix: "name a .jsonl, .json or .gz file inside it.",
    });
  }
  const bytes = createReadStream(file);
  if (!file.endsWith(".gz")) return bytes;
  return gunzipped(bytes, file);
}

async function* gunzipped(bytes: Readable, file: string): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  bytes.on("error", (error) => gunzip.destroy(error));
  try {
    for await (const chunk of bytes.pipe(gunzip)) yield chunk as Buffer;
  } catch (cause) {
    throw new DataError("ERR_FILE_DAMAGED", `the file cannot be unpacked: ${(cause as Error).message}.`, {
      where: file,
      fix: "get the file again; it is cut off or not gzip.",
      cause,
    });
  }
}

function checkHasAssistant(conversation: Conversation, origin: RowOrigin): void {
  if (conversation.messages.some((message) => message.role === "assistant")) return;
  throw new DataError(
    "ERR_NO_TRAINED_TOKEN",
    "the conversation has no assistant message, so nothing to train.",
    {
      where: `${origin.file} ${origin.unit} ${origin.line}, field messages`,
      fix: SKIP_FIX,
    },
  );
}

function noRows(file: string, count: number, skipped: DataError[]): DataError {
  const problem = count === 0 ? "the file has no rows." : `none of the ${count} rows can be used.`;
  return new DataError("ERR_NO_ROWS", problem, {
    where: file,
    fix:
      skipped[0] === undefined
        ? "give a file with conversations."
        : `the first problem is: ${skipped[0].message}`,
  });
}

/** `data/lima.jsonl.gz` -> `lima` */
export function fileStem(file: string): string {
  return basename(file)
    .replace(/\.gz$/, "")
    .replace(/\.(jsonl|json|ndjson)$/, "");
}
