/**
 * Every container becomes one of two plain things on disk, JSON lines or a JSON array, so that rows have
 * byte offsets: sampling then reads only the rows it drew, in any order, in bounded memory.
 *
 *     plain .json/.jsonl      used in place
 *     .gz                     inflated into the scratch folder
 *     .parquet .csv .tsv      DuckDB copies them to JSON lines in the scratch folder, row order kept
 *     .xlsx                   first sheet, header row gives the keys
 *
 * The kind is read off the first bytes where the format has a signature; names lie too often.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { DataError } from "../../errors.js";
import { copyTableToJsonLines } from "./duckdb.js";
import { copySheetToJsonLines } from "./xlsx.js";

export interface PlainFile {
  /** The file the user named. Errors and lineage speak of this one. */
  readonly file: string;
  /** Where its rows lie as plain JSON; equal to `file` when nothing had to be unpacked. */
  readonly path: string;
  readonly container: Container;
  /** Set when the container ended early and the caller asked to keep what was readable. */
  readonly damage?: DataError;
  /** Of the bytes the user named; undefined when the reader of `path` will compute it anyway (`path === file`). */
  readonly sha256?: string;
  readonly sizeBytes: number;
}

export type Container = "json" | "gzip" | "parquet" | "csv" | "tsv" | "xlsx";

/** @param onDamage what a truncated gzip does: throw, or keep the readable part and report it. */
export async function toPlainFile(
  file: string,
  scratch: string,
  onDamage: "throw" | "keep" = "throw",
  readable: { csvHeader?: boolean } = {},
): Promise<PlainFile> {
  const { size } = await statFile(file);
  const container = await sniffContainer(file);
  if (container === "json") return { file, path: file, container, sizeBytes: size };

  const unpacked = (name: string) => join(scratch, `${scratchCounter++}-${name}`);
  if (container === "gzip") {
    const inner = basename(file).replace(/\.gz$/i, "");
    const path = unpacked(inner);
    const { sha256, damage } = await inflate(file, path, onDamage);
    if (/\.(csv|tsv)$/i.test(inner)) {
      const lines = unpacked(`${inner}.jsonl`);
      await copyTableToJsonLines(
        path,
        lines,
        inner.toLowerCase().endsWith("tsv") ? "tsv" : "csv",
        file,
        readable,
      );
      return { file, path: lines, container, sha256, sizeBytes: size, ...(damage && { damage }) };
    }
    return { file, path, container, sha256, sizeBytes: size, ...(damage && { damage }) };
  }
  const path = unpacked(`${basename(file)}.jsonl`);
  if (container === "xlsx") await copySheetToJsonLines(file, path);
  else await copyTableToJsonLines(file, path, container, file, readable);
  return { file, path, container, sha256: await sha256File(file), sizeBytes: size };
}

let scratchCounter = 0;

async function statFile(file: string) {
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw cause;
    throw new DataError("ERR_DATA_FILE_MISSING", `there is no file ${basename(file)}.`, {
      where: file,
      fix: "check the path; compressed files keep their .gz ending.",
      cause,
    });
  });
  if (!found.isDirectory()) return found;
  throw new DataError("ERR_DATA_FILE_MISSING", `${basename(file)} is a folder, not a file of rows.`, {
    where: file,
    fix: "list the files in it: files: [a.jsonl, b.jsonl].",
  });
}

async function sniffContainer(file: string): Promise<Container> {
  const handle = await open(file);
  try {
    const head = Buffer.alloc(8);
    const { bytesRead } = await handle.read(head, 0, 8, 0);
    const signature = head.subarray(0, bytesRead);
    if (signature[0] === 0x1f && signature[1] === 0x8b) return "gzip";
    const text = signature.toString("latin1");
    if (text.startsWith("PAR1")) return "parquet";
    if (text.startsWith("PK\x03\x04")) return "xlsx";
    if (
      (signature[0] === 0xff && signature[1] === 0xfe) ||
      (signature[0] === 0xfe && signature[1] === 0xff)
    ) {
      throw new DataError("ERR_DATA_ENCODING", `${basename(file)} is UTF-16; text files must be UTF-8.`, {
        where: `${file} byte 0`,
        fix: `convert it: iconv -f UTF-16 -t UTF-8 ${basename(file)} > utf8-${basename(file)}`,
      });
    }
  } finally {
    await handle.close();
  }
  const name = file.toLowerCase();
  if (name.endsWith(".csv")) return "csv";
  if (name.endsWith(".tsv")) return "tsv";
  for (const [ending, kind] of [
    [".parquet", "Parquet"],
    [".xlsx", "xlsx"],
    [".gz", "gzip"],
  ] as const) {
    if (name.endsWith(ending)) {
      throw new DataError("ERR_DATA_TRUNCATED", `${basename(file)} does not begin like a ${kind} file.`, {
        where: `${file} byte 0`,
        fix: "download it again; an HTML error page saved under this name is the usual cause.",
      });
    }
  }
  return "json";
}

async function inflate(
  file: string,
  path: string,
  onDamage: "throw" | "keep",
): Promise<{ sha256: string; damage?: DataError }> {
  const hash = createHash("sha256");
  try {
    await pipeline(
      createReadStream(file, { highWaterMark: 1 << 20 }),
      hashing(hash),
      createGunzip(),
      createWriteStream(path),
    );
    return { sha256: hash.digest("hex") };
  } catch (cause) {
    const damage = new DataError(
      "ERR_DATA_TRUNCATED",
      `the gzip stream is damaged or ends early (${(cause as Error).message}).`,
      {
        where: file,
        fix: "download it again, or keep the readable part with --on-bad skip.",
        cause,
      },
    );
    if (onDamage === "throw") throw damage;
    return { sha256: await sha256File(file), damage };
  }
}

function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

export async function sha256File(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
