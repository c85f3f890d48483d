/** Answers kept on disk as they come, so that an interrupted evaluation goes on where it was. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { AppendFile } from "../run/append-file.js";
import type { Answer } from "./task.js";

/**
 * One JSONL file per answerer: `{"key", "answer"}` a line, keyed by what was asked. A line that a killed process left
 * unfinished is skipped, and asked again.
 */
export class AnswerStore implements Disposable {
  readonly #answers = new Map<string, Answer>();
  readonly #path: string;
  #file: AppendFile | undefined;
  /** Lines that could not be read. */
  readonly damagedLines: number;

  constructor(path: string) {
    this.#path = path;
    let damaged = 0;
    if (existsSync(path)) {
      for (const line of readFileSync(path, "utf8").split("\n")) {
        if (line === "") continue;
        const entry = readEntry(line);
        if (entry === undefined) damaged++;
        else this.#answers.set(entry.key, entry.answer);
      }
    }
    this.damagedLines = damaged;
  }

  get isEmpty(): boolean {
    return this.#answers.size === 0;
  }

  get(key: string): Answer | undefined {
    return this.#answers.get(key);
  }

  put(key: string, answer: Answer): void {
    this.#answers.set(key, answer);
    if (this.#file === undefined) {
      mkdirSync(dirname(this.#path), { recursive: true });
      this.#file = new AppendFile(this.#path);
    }
    this.#file.append(JSON.stringify({ key, answer }));
  }

  [Symbol.dispose](): void {
    this.#file?.sync();
    this.#file?.close();
    this.#file = undefined;
  }
}

function readEntry(line: string): { key: string; answer: Answer } | undefined {
  try {
    const entry = JSON.parse(line) as { key?: unknown; answer?: { kind?: unknown } };
    if (typeof entry.key !== "string" || typeof entry.answer?.kind !== "string") return undefined;
    return entry as { key: string; answer: Answer };
  } catch {
    return undefined;
  }
}
