import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync } from "node:fs";
import { writeFully } from "./atomic-write.js";
import { fileError } from "./file-error.js";

/**
 * A text file that grows line by line. Each line goes out in one write; when that fails halfway (a full disk)
 * the part is taken back, so the file never holds half a line of a living process. A line that a killed process
 * left unfinished is closed with a line end, never removed: readers skip it and say so.
 */
export class AppendFile {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, "a+");
      if (endsMidLine(this.#fd)) writeFully(this.#fd, "\n");
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** @throws {TrainingError} `ERR_DISK_FULL`; what was appended before stays whole */
  append(line: string): void {
    const { size } = fstatSync(this.#fd);
    try {
      writeFully(this.#fd, `${line}\n`);
    } catch (error) {
      if (fstatSync(this.#fd).size > size) ftruncateSync(this.#fd, size);
      throw fileError(error, this.path);
    }
  }

  /** Forces what was appended to disk. */
  sync(): void {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function endsMidLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(fd, last, 0, 1, size - 1);
  return last[0] !== 0x0a;
}
