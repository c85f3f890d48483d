/** A record file: lines counted and hashed as they are written. */
import { createHash } from "node:crypto";
import { BufferedFile } from "./buffered-file.js";

export interface RecordFile {
  readonly rows: number;
  readonly bytes: number;
  /** Bytes of the longest line. */
  readonly longestRow: number;
  readonly sha256: string;
}

export class HashedFile {
  readonly #file: BufferedFile;
  readonly #hash = createHash("sha256");
  #rows = 0;
  #bytes = 0;
  #longest = 0;

  constructor(path: string) {
    this.#file = new BufferedFile(path);
  }

  /** @returns the number of the line, from 1 */
  write(line: Uint8Array): number {
    this.#longest = Math.max(this.#longest, line.length);
    this.#file.write(line);
    this.#hash.update(line);
    this.#bytes += line.length;
    return ++this.#rows;
  }

  close(): RecordFile {
    this.#file.close();
    return {
      rows: this.#rows,
      bytes: this.#bytes,
      longestRow: this.#longest,
      sha256: this.#hash.digest("hex"),
    };
  }
}
