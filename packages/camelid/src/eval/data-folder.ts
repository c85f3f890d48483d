/** Official benchmark files on disk: where each lies, whether its bytes are the official ones, what is in it. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { DataError } from "../errors.js";

/** A file as its publisher offers it. */
export interface OfficialFile {
  /** Path in the data folder, `/` between parts, without `.gz`: `gsm8k/test.jsonl`. */
  readonly path: string;
  /** Pinned address (a commit, a version); undefined where a user has to get it. */
  readonly url?: string;
  /** Of the file at `path` (uncompressed), hex; undefined where not known: downloads are then recorded, not checked. */
  readonly sha256?: string;
  /** The address holds an archive: the member that is the file. */
  readonly member?: string;
  /** Not needed for every use: its absence is no error. */
  readonly optional?: boolean;
  readonly licence?: string;
}

/** What was read, for metrics.json: scores belong to bytes. */
export interface FileUsed {
  readonly path: string;
  readonly sha256: string;
  /** `official`: the pinned checksum; `altered`: another; `unpinned`: none is known. */
  readonly state: "official" | "altered" | "unpinned";
}

/**
 * `--data DIR` and, behind it, the download cache. A file may be compressed (`.gz`), and DIR may be the parent of the task's
 * folder or that folder itself.
 */
export class DataFolder {
  readonly used = new Map<string, FileUsed>();

  constructor(
    readonly roots: readonly string[],
    readonly files: readonly OfficialFile[],
    readonly options: { strict?: boolean } = {},
  ) {}

  /** Where a file lies, or undefined. */
  find(path: string): string | undefined {
    const inside = path.slice(path.indexOf("/") + 1);
    for (const root of this.roots) {
      for (const candidate of [path, inside]) {
        for (const ending of ["", ".gz"]) {
          const file = join(root, candidate + ending);
          if (existsSync(file) && statSync(file).isFile()) return file;
        }
      }
    }
    return undefined;
  }

  /** Names (without `.gz`) of the files of a folder, sorted by code unit; empty when there is none. */
  list(folder: string): string[] {
    const inside = folder.includes("/") ? folder.slice(folder.indexOf("/") + 1) : ".";
    for (const root of this.roots) {
      for (const candidate of [folder, inside]) {
        const path = join(root, candidate);
        if (!existsSync(path) || !statSync(path).isDirectory()) continue;
        const names = readdirSync(path, { withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => entry.name.replace(/\.gz$/, ""));
        if (candidate === folder || names.length > 0) return [...new Set(names)].sort();
      }
    }
    return [];
  }

  /**
   * Content of a file as bytes, unpacked.
   * @throws {DataError} ERR_EVAL_DATA_MISSING, ERR_EVAL_DATA_DAMAGED, ERR_EVAL_DATA_ALTERED (only when strict)
   */
  bytes(path: string): Uint8Array {
    const file = this.find(path);
    if (file === undefined) throw this.missing(path);
    const bytes = unpacked(readFileSync(file), file);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const expected = this.files.find((entry) => entry.path === path)?.sha256;
    const state = expected === undefined ? "unpinned" : expected === sha256 ? "official" : "altered";
    if (state === "altered" && this.options.strict) {
      throw new DataError("ERR_EVAL_DATA_ALTERED", `${basename(file)} is not the official file.`, {
        where: `${file}: sha256 ${sha256}, expected ${expected}`,
        fix: "fetch it again with --download, or leave --strict-data out: the report then says that the data differ.",
      });
    }
    this.used.set(path, { path, sha256, state });
    return bytes;
  }

  /** Content as text. @throws as `bytes`, and ERR_EVAL_DATA_DAMAGED when it is not UTF-8 */
  text(path: string): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes(path));
    } catch (error) {
      if (error instanceof DataError) throw error;
      throw damaged(this.find(path)!, "it is not UTF-8 text", error);
    }
  }

  /** The value of a JSON file. */
  json(path: string): unknown {
    const text = this.text(path);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw damaged(this.find(path)!, `it is not JSON (${(error as Error).message})`, error);
    }
  }

  /** One value per line of a JSON-lines file; a line that does not parse is an error with its number. */
  jsonLines(path: string): { value: unknown; line: number }[] {
    const rows: { value: unknown; line: number }[] = [];
    this.text(path)
      .split("\n")
      .forEach((text, index) => {
        if (text.trim() === "") return;
        try {
          rows.push({ value: JSON.parse(text), line: index + 1 });
        } catch (error) {
          throw damaged(`${this.find(path)!} line ${index + 1}`, "the line is not JSON", error);
        }
      });
    return rows;
  }

  /** The error for a file that is not there, saying how to get it. */
  missing(path: string): DataError {
    const url = this.files.find((entry) => entry.path === path)?.url;
    return new DataError("ERR_EVAL_DATA_MISSING", `the file ${path} is not in the data folder.`, {
      where: this.roots.join(", "),
      fix:
        url === undefined
          ? `put it there as ${path} (or ${path}.gz).`
          : `add --download, or get it from ${url} and put it there as ${path}.`,
    });
  }
}

/** The error for a file that cannot be read as what it should be. */
export function damaged(where: string, what: string, cause?: unknown): DataError {
  return new DataError("ERR_EVAL_DATA_DAMAGED", `a benchmark file is damaged: ${what}.`, {
    where,
    fix: "fetch it again with --download.",
    cause,
  });
}

function unpacked(bytes: Uint8Array, file: string): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (error) {
    throw damaged(file, "the gzip stream ends early or is broken", error);
  }
}
