/** A file that is only appended to, in large writes. Synchronous: the mixer's main thread does little else. */
import { closeSync, createReadStream, openSync } from "node:fs";
import { writeFully } from "../../run/atomic-write.js";

const FLUSH_AT = 4 << 20;

export class BufferedFile {
  readonly #fd: number;
  #pieces: Uint8Array[] = [];
  #text = "";
  #size = 0;

  constructor(readonly path: string) {
    this.#fd = openSync(path, "w");
  }

  /** The bytes are kept until they are written: do not change them. */
  write(data: string | Uint8Array): void {
    if (typeof data === "string") this.#text += data;
    else {
      this.#takeText();
      this.#pieces.push(data);
    }
    this.#size += data.length;
    if (this.#size >= FLUSH_AT) this.flush();
  }

  flush(): void {
    this.#takeText();
    for (const piece of this.#pieces) writeFully(this.#fd, piece);
    this.#pieces = [];
    this.#size = 0;
  }

  close(): void {
    this.flush();
    closeSync(this.#fd);
  }

  #takeText(): void {
    if (this.#text !== "") this.#pieces.push(Buffer.from(this.#text, "utf8"));
    this.#text = "";
  }
}

/** Lines of a file with their line feeds, streamed; a line may be larger than any buffer. */
export async function* linesOf(path: string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  for await (const piece of createReadStream(path, { highWaterMark: 4 << 20 })) {
    const chunk = piece as Buffer;
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      const line = chunk.subarray(from, at + 1);
      yield rest.length === 0 ? line : Buffer.concat([...rest, line]);
      rest = [];
      from = at + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}
