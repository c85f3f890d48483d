import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ModelError } from "../errors.js";

/** A weight file opened for reading at given places; every read is checked against its size. */
export class FileBytes implements Disposable {
  readonly #fd: number;
  readonly size: number;

  /** @throws {ModelError} when there is no such file or it may not be read */
  constructor(readonly path: string) {
    try {
      this.#fd = openSync(path, "r");
    } catch (cause) {
      throw new ModelError("ERR_WEIGHTS_FILE", `the file cannot be opened (${systemCode(cause)}).`, {
        where: path,
        fix: "check the path and its permissions.",
        cause,
      });
    }
    const stat = fstatSync(this.#fd);
    this.size = stat.size;
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw new ModelError("ERR_WEIGHTS_FILE", "this is not a file.", { where: path });
    }
  }

  /** @throws {ModelError} when the file has no such bytes */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (offset < 0 || length < 0 || offset + length > this.size) throw this.#truncated(offset, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#fd, bytes, done, Math.min(length - done, MAX_READ_BYTES), offset + done);
      if (count === 0) throw this.#truncated(offset, length);
      done += count;
    }
    return bytes;
  }

  #truncated(offset: number, length: number): ModelError {
    const message = `bytes ${offset} to ${offset + length} are wanted, but the file has ${this.size}.`;
    return new ModelError("ERR_WEIGHTS_TRUNCATED", message, {
      where: this.path,
      fix: "download or save the file again.",
    });
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** One system call reads at most 2 GiB. */
const MAX_READ_BYTES = 1024 ** 3;

/** Opens, reads one stretch, closes: for entries read long after their file was looked at. */
export function readFileSlice(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  using file = new FileBytes(path);
  return file.read(offset, length);
}

function systemCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
