import { SafetensorsError } from "./errors.js";

/**
 * Reads exactly the JSON that a safetensors header may hold, in one pass.
 *
 * `JSON.parse` would do but for two things: it keeps the last of two equal keys without a word, so that a file
 * can show one tensor to a scanner and another to the loader, and it builds whatever the text describes, so that
 * 100 MB of brackets become gigabytes. Here anything but the few expected shapes ends the reading at once.
 */
export interface RawTensorInfo {
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

export interface RawHeader {
  metadata: Record<string, string>;
  tensors: Map<string, RawTensorInfo>;
}

/** @throws {SafetensorsError} with the place in the header where it stops being one */
export function scanSafetensorsJson(json: Uint8Array, file: string): RawHeader {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
  } catch (cause) {
    throw new SafetensorsError("ERR_SAFETENSORS_HEADER", "the header is not valid UTF-8.", {
      where: file,
      cause,
    });
  }
  return new HeaderScanner(text, file).header();
}

class HeaderScanner {
  #position = 0;

  constructor(
    readonly text: string,
    readonly file: string,
  ) {}

  header(): RawHeader {
    const tensors = new Map<string, RawTensorInfo>();
    let metadata: Record<string, string> | undefined;
    this.#object((name) => {
      if (name === "__metadata__") metadata = this.#metadata();
      else tensors.set(name, this.#tensor());
    });
    this.#space();
    if (this.#position !== this.text.length) this.#fail("end of the header");
    return { metadata: metadata ?? {}, tensors };
  }

  #metadata(): Record<string, string> {
    const entries: [string, string][] = [];
    this.#object((key) => entries.push([key, this.#string("a string (metadata holds strings only)")]));
    return Object.fromEntries(entries); // defines keys, so "__proto__" is a key like any other
  }

  #tensor(): RawTensorInfo {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    const start = this.#position;
    this.#object((key) => {
      if (key === "dtype") dtype = this.#string("a dtype name");
      else if (key === "shape") shape = this.#wholeNumbers();
      else if (key === "data_offsets") offsets = this.#wholeNumbers();
      else
        this.#fail(`only dtype, shape and data_offsets in a tensor, not ${JSON.stringify(key.slice(0, 40))}`);
    });
    const [begin, end, extra] = offsets ?? [];
    if (dtype === undefined || shape === undefined || begin === undefined || end === undefined) {
      return this.#fail("dtype, shape and two data_offsets", start);
    }
    if (extra !== undefined) return this.#fail("two data_offsets", start);
    return { dtype, shape, begin, end };
  }

  /** Calls `value` after each key, positioned at its value; a key may come once. */
  #object(value: (key: string) => void): void {
    const seen = new Set<string>();
    this.#expect("{");
    if (this.#accept("}")) return;
    do {
      const start = this.#position;
      const key = this.#string("a key");
      if (seen.has(key)) {
        const message = `the header has the key ${JSON.stringify(key.slice(0, 120))} twice.`;
        throw new SafetensorsError("ERR_SAFETENSORS_DUPLICATE", message, { where: this.#where(start) });
      }
      seen.add(key);
      this.#expect(":");
      value(key);
    } while (this.#accept(","));
    this.#expect("}");
  }

  #wholeNumbers(): number[] {
    const numbers: number[] = [];
    this.#expect("[");
    if (this.#accept("]")) return numbers;
    do numbers.push(this.#wholeNumber());
    while (this.#accept(","));
    this.#expect("]");
    return numbers;
  }

  #wholeNumber(): number {
    this.#space();
    const start = this.#position;
    while (isDigit(this.text.charCodeAt(this.#position))) this.#position++;
    const digits = this.text.slice(start, this.#position);
    const value = Number(digits);
    const valid = digits !== "" && (digits === "0" || digits[0] !== "0") && Number.isSafeInteger(value);
    // What follows ("." or "e5") fails at the next expected comma or bracket.
    return valid ? value : this.#fail("a whole number from 0 to 2^53 - 1", start);
  }

  #string(expected: string): string {
    this.#space();
    const start = this.#position;
    if (this.text[start] !== '"') return this.#fail(expected);
    let escaped = false;
    let end = start + 1;
    for (; this.text.charCodeAt(end) !== 0x22; end++) {
      const code = this.text.charCodeAt(end);
      if (Number.isNaN(code) || code < 0x20) return this.#fail("a closing quote", start);
      if (code === 0x5c) {
        escaped = true;
        end++; // the escaped character, which may be a quote
      }
    }
    this.#position = end + 1;
    if (!escaped) return this.text.slice(start + 1, end);
    try {
      return JSON.parse(this.text.slice(start, end + 1)) as string;
    } catch {
      return this.#fail("a JSON string", start);
    }
  }

  #space(): void {
    while (isSpace(this.text.charCodeAt(this.#position))) this.#position++;
  }

  #accept(character: string): boolean {
    this.#space();
    if (this.text[this.#position] !== character) return false;
    this.#position++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#accept(character)) this.#fail(`"${character}"`);
  }

  #fail(expected: string, position = this.#position): never {
    const found = this.text.slice(position, position + 24);
    const received = found === "" ? "nothing" : JSON.stringify(found);
    throw new SafetensorsError("ERR_SAFETENSORS_HEADER", `expected ${expected}, found ${received}.`, {
      where: this.#where(position),
      fix: "check that this is a safetensors file; if it is, download or save it again.",
    });
  }

  #where(position: number): string {
    return `${this.file}, header character ${position}`;
  }
}

const isDigit = (code: number) => code >= 0x30 && code <= 0x39;
const isSpace = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
