import type { Conversation } from "../conversation.js";
import { toNfc, UnitBuffer } from "./word-scanner.js";

/**
 * 128-bit hash of messages after normalisation: the identity of a row's content for exact deduplication and for the
 * held-out split. With 128 bits, ten million rows collide by accident with a probability near 1e-25, so a key is not
 * compared with the text it came from. The hash is not cryptographic: rows made to collide would collide.
 *
 * Normalisation:
 * - `none`: code units as they are;
 * - `whitespace`: NFC, every run of white space becomes one space, none at the ends;
 * - `case`: the same, and lower case.
 */
export type Normalization = "none" | "whitespace" | "case";

export class ContentHasher {
  /** The last hash, as four 32-bit words. */
  readonly hash = new Uint32Array(4);
  private readonly units = new UnitBuffer();
  private words = new Uint32Array(this.units.view.buffer);
  private readonly fold: Uint16Array | undefined;

  constructor(readonly normalization: Normalization) {
    this.fold = normalization === "none" ? undefined : foldTable(normalization);
  }

  /**
   * Hashes the messages into `hash`. Roles and lengths are part of it, so text cannot imitate a turn boundary.
   * @returns false when nothing is left after normalisation: such rows share a key without sharing content
   */
  update(messages: Conversation["messages"]): boolean {
    this.hash.set(SEED);
    let anything = false;
    for (const { role, content } of messages) {
      const length = this.load(content);
      anything ||= length > 0;
      absorb(this.hash, this.words, length);
      absorbWord(this.hash, length, ROLE_CODES[role]);
    }
    finish(this.hash, messages.length);
    return anything;
  }

  /** The last hash as 32 hexadecimal digits. */
  toString(): string {
    return Array.from(this.hash, (word) => word.toString(16).padStart(8, "0")).join("");
  }

  /** Normalises a text into the unit buffer, padded with zeros to 16 bytes. */
  private load(text: string): number {
    const { fold } = this;
    let length = this.units.load(fold === undefined ? text : toNfc(text));
    const units = this.units.view;
    if (this.words.buffer !== units.buffer) this.words = new Uint32Array(units.buffer);
    if (fold !== undefined) length = collapse(units, length, fold);
    units.fill(0, length, Math.ceil(length / 8) * 8);
    return length;
  }
}

const SPACE = 0x20;
const ROLE_CODES = { system: 1, user: 2, assistant: 3 } as const;
const SEED = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]; // digits of pi

/** Folds in place and squeezes white space; returns the new length. */
function collapse(units: Uint16Array, length: number, fold: Uint16Array): number {
  let write = 0;
  let previous = SPACE; // swallows white space at the start
  for (let read = 0; read < length; read++) {
    const unit = fold[units[read]!]!;
    if (unit === SPACE && previous === SPACE) continue;
    units[write++] = unit;
    previous = unit;
  }
  return previous === SPACE && write > 0 ? write - 1 : write;
}

// The body of MurmurHash3 x86_128 (Appleby, public domain): four lanes, each fed 32 bits of every 16-byte block.
const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

function absorb(hash: Uint32Array, words: Uint32Array, units: number): void {
  let h1 = hash[0]! | 0;
  let h2 = hash[1]! | 0;
  let h3 = hash[2]! | 0;
  let h4 = hash[3]! | 0;
  const end = Math.ceil(units / 8) * 4;
  for (let i = 0; i < end; i += 4) {
    h1 ^= Math.imul(rotate(Math.imul(words[i]!, C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(words[i + 1]!, C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(words[i + 2]!, C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(words[i + 3]!, C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  hash[0] = h1;
  hash[1] = h2;
  hash[2] = h3;
  hash[3] = h4;
}

const block = new Uint32Array(4);

function absorbWord(hash: Uint32Array, length: number, role: number): void {
  block[0] = length;
  block[1] = role;
  absorb(hash, block, 8);
}

function finish(hash: Uint32Array, messages: number): void {
  block[0] = messages;
  block[1] = 0;
  absorb(hash, block, 8);
  const h1 = avalanche(hash[0]! + hash[1]! + hash[2]! + hash[3]!);
  for (let i = 1; i < 4; i++) hash[i] = avalanche(hash[i]! + h1);
  hash[0] = h1 + hash[1]! + hash[2]! + hash[3]!;
}

function avalanche(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

const foldTables = new Map<Normalization, Uint16Array>();

function foldTable(normalization: Normalization): Uint16Array {
  let table = foldTables.get(normalization);
  if (table === undefined) {
    table = Uint16Array.from({ length: 0x1_0000 }, (_, unit) => {
      const character = String.fromCharCode(unit);
      if (/\s/.test(character)) return SPACE;
      return normalization === "case" ? character.toLowerCase().charCodeAt(0) : unit;
    });
    foldTables.set(normalization, table);
  }
  return table;
}
