/**
 * Text from tokens that come one by one. Only what no later token can change is let out: half a character waits for its other
 * bytes, and what may be the beginning of a stop string for the rest of it.
 */
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** What a decoder writes for bytes that are no character (yet). */
const REPLACEMENT = "\uFFFD";

export class TextStream {
  /** All text let out so far. */
  text = "";
  /** A stop string was found; the text ends before it. */
  stopped = false;
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly string[];
  readonly #ids: number[] = [];
  /** Decoding starts here: far enough back that tokens look as they do inside the whole text. */
  #from = 0;
  /** Up to here the text is settled. */
  #settled = 0;
  /** Settled text that may turn out to belong to a stop string. */
  #held = "";

  /** @param stops none of them empty */
  constructor(tokenizer: Tokenizer, stops: readonly string[] = []) {
    this.#tokenizer = tokenizer;
    this.#stops = stops;
  }

  /** @returns text that is certain now; nothing after a stop */
  push(id: number): string {
    if (this.stopped) return "";
    this.#ids.push(id);
    const settled = this.#decode(this.#from, this.#settled);
    const all = this.#decode(this.#from, this.#ids.length);
    if (all.endsWith(REPLACEMENT) || all.length <= settled.length) return "";
    this.#from = this.#settled;
    this.#settled = this.#ids.length;
    return this.#letOut(all.slice(settled.length));
  }

  /** No token follows. @returns the rest of the text */
  finish(): string {
    if (this.stopped) return "";
    const settled = this.#decode(this.#from, this.#settled);
    const rest = this.#decode(this.#from, this.#ids.length).slice(settled.length);
    const out = this.#letOut(rest);
    if (this.stopped) return out;
    const held = this.#held;
    this.#held = "";
    this.text += held;
    return out + held;
  }

  #letOut(piece: string): string {
    const text = this.#held + piece;
    // What is held is all that an unfinished stop string can have before this piece.
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    this.stopped = found.length > 0;
    const end = this.stopped ? Math.min(...found) : text.length - this.#longestBeginning(text);
    const out = text.slice(0, end);
    this.#held = this.stopped ? "" : text.slice(end);
    this.text += out;
    return out;
  }

  /** How many of the last characters are the beginning of a stop string. */
  #longestBeginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }

  #decode(start: number, end: number): string {
    return this.#tokenizer.decode(this.#ids.slice(start, end));
  }
}
