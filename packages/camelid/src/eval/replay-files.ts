/** Files with stored answers: read whole or not at all, so that a cut file is an error and not a lower score. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { DataError } from "../errors.js";
import type { ReplayFile } from "./task.js";

const ANSWERS = /\.(jsonl?|json)(\.gz)?$/i;

/**
 * A file, or every JSON and JSONL file below a folder, in order of name.
 * @throws {DataError} ERR_EVAL_REPLAY when there is none, ERR_EVAL_REPLAY_DAMAGED with the line when one is cut or no JSON
 */
export function readReplayFiles(path: string): ReplayFile[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw problem("there is no such file or folder", path);
  if (!found.isDirectory()) return [readReplayFile(path)];
  const files = readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => ANSWERS.test(name))
    .sort()
    .map((name) => readReplayFile(join(path, name)));
  if (files.length === 0) throw problem("the folder holds no .json or .jsonl file", path);
  return files;
}

function readReplayFile(path: string): ReplayFile {
  const text = readText(path);
  const name = basename(path).replace(/\.gz$/i, "");
  if (text.trim() === "") throw damaged(path, "it is empty");
  const whole = parseWhole(text);
  if (whole !== undefined) return { path, name, records: Array.isArray(whole) ? whole : [whole] };
  const records = text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line) as unknown];
    } catch (error) {
      throw damaged(`${path} line ${index + 1}`, `the line is not JSON (${(error as Error).message})`);
    }
  });
  return { path, name, records };
}

/** The value of a JSON file; undefined for JSON lines, and for what is neither. */
function parseWhole(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (error) {
    throw damaged(path, (error as Error).message);
  }
}

function damaged(where: string, what: string): DataError {
  return new DataError("ERR_EVAL_REPLAY_DAMAGED", `stored answers cannot be read: ${what}.`, {
    where,
    fix: "get the file again; nothing of it was scored.",
  });
}

function problem(what: string, where: string): DataError {
  return new DataError("ERR_EVAL_REPLAY", `nothing to replay: ${what}.`, {
    where,
    fix: "name a file of stored answers or judgments, or a predictions file of `camelid eval`.",
  });
}
