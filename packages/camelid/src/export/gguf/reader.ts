/**
 * Reads GGUF files: what was just written is checked through this, so it shares nothing with the writer but the codes. Files
 * are untrusted: every count and length is held against what the file has left before anything is made of it.
 */
import { ModelError } from "../../errors.js";
import { FileBytes } from "../../weights/file-bytes.js";
import {
  elementCount,
  MAGIC,
  Q8_BLOCK,
  storedBytes,
  TENSOR_CODES,
  type TensorInfo,
  type TensorType,
} from "./format.js";

export interface GgufFile {
  /** Numbers, booleans, strings and lists of them; 64-bit integers as numbers. */
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: ReadonlyMap<string, TensorInfo & { offset: number }>;
  /** Stored bytes of a tensor. */
  read(name: string): Uint8Array;
}

export type GgufValue =
  | number
  | boolean
  | string
  | readonly number[]
  | readonly string[]
  | readonly boolean[];

/** Real files have some thousand tensors and below 100 keys; a count beyond these is damage. */
const MAX_TENSORS = 65_536;
const MAX_KEYS = 65_536;
const MAX_DIMENSIONS = 4;
/** A vocabulary of 256,000 with its merges is 10 MB. */
const MAX_HEADER_BYTES = 256 * 1024 * 1024;

/** @throws {ModelError} `ERR_GGUF_FILE` */
export function readGguf(path: string): GgufFile {
  using file = new FileBytes(path);
  const header = new HeaderCursor(file);
  if (header.u32() !== MAGIC) throw damaged(path, "it does not begin with GGUF");
  const version = header.u32();
  if (version !== 2 && version !== 3) throw damaged(path, `version ${version} is not known`);
  const tensorCount = bounded(path, header.u64(), MAX_TENSORS, "tensors");
  const keyCount = bounded(path, header.u64(), MAX_KEYS, "keys");
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) metadata.set(header.string(), value(header, header.u32(), path));
  const infos = Array.from({ length: tensorCount }, () => tensorInfo(header, path));
  const alignment = Number(metadata.get("general.alignment") ?? 32);
  if (!(Number.isInteger(alignment) && alignment > 0)) throw damaged(path, `alignment ${alignment}`);
  const start = Math.ceil(header.position / alignment) * alignment;
  const tensors = new Map(infos.map((info) => [info.name, { ...info, offset: start + info.offset }]));
  for (const tensor of tensors.values()) {
    if (tensor.offset + storedBytes(tensor) > file.size)
      throw damaged(path, `tensor ${tensor.name} lies beyond its end`);
  }
  return {
    metadata,
    tensors,
    read(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw damaged(path, `it has no tensor ${name}`);
      using open = new FileBytes(path);
      return open.read(tensor.offset, storedBytes(tensor));
    },
  };
}

const TYPES = new Map<number, TensorType>(
  Object.entries(TENSOR_CODES).map(([type, code]) => [code, type as TensorType]),
);

function tensorInfo(header: HeaderCursor, path: string): TensorInfo & { offset: number } {
  const name = header.string();
  const dimensions = bounded(path, header.u32(), MAX_DIMENSIONS, `dimensions of ${name}`);
  const shape = Array.from({ length: dimensions }, () => header.u64()).reverse();
  const code = header.u32();
  const type = TYPES.get(code);
  if (type === undefined) throw damaged(path, `tensor ${name} has a type that is not read here (${code})`);
  if (type === "q8_0" && (shape.at(-1) ?? 0) % Q8_BLOCK !== 0)
    throw damaged(path, `tensor ${name} has rows of ${shape.at(-1)} values in blocks of ${Q8_BLOCK}`);
  if (!Number.isSafeInteger(elementCount(shape) * 4))
    throw damaged(path, `tensor ${name} is beyond all size`);
  return { name, shape, type, offset: header.u64() };
}

function value(header: HeaderCursor, code: number, path: string): GgufValue {
  if (code !== 9) return scalar(header, code, path);
  const element = header.u32();
  if (element === 9) throw damaged(path, "a list of lists");
  const length = header.u64();
  header.expect(length); // every element takes a byte at least
  return Array.from({ length }, () => scalar(header, element, path)) as GgufValue;
}

function scalar(header: HeaderCursor, code: number, path: string): number | boolean | string {
  const read = SCALARS[code];
  if (read === undefined) throw damaged(path, `a value of type ${code}`);
  return read(header);
}

/** By code. */
const SCALARS: Readonly<Record<number, (header: HeaderCursor) => number | boolean | string>> = {
  0: (header) => header.number(1, (view) => view.getUint8(0)),
  1: (header) => header.number(1, (view) => view.getInt8(0)),
  2: (header) => header.number(2, (view) => view.getUint16(0, true)),
  3: (header) => header.number(2, (view) => view.getInt16(0, true)),
  4: (header) => header.u32(),
  5: (header) => header.number(4, (view) => view.getInt32(0, true)),
  6: (header) => header.number(4, (view) => view.getFloat32(0, true)),
  7: (header) => header.number(1, (view) => view.getUint8(0)) !== 0,
  8: (header) => header.string(),
  10: (header) => header.u64(),
  11: (header) => header.number(8, (view) => Number(view.getBigInt64(0, true))),
  12: (header) => header.number(8, (view) => view.getFloat64(0, true)),
};

/** Reads the front of the file in stretches of a megabyte. */
class HeaderCursor {
  position = 0;
  #window = new Uint8Array();
  #windowStart = 0;

  constructor(readonly file: FileBytes) {}

  u32(): number {
    return this.number(4, (view) => view.getUint32(0, true));
  }

  /** @throws when it does not fit into a double exactly: nothing in a file is that long */
  u64(): number {
    const number = this.number(8, (view) => Number(view.getBigUint64(0, true)));
    if (!Number.isSafeInteger(number)) throw damaged(this.file.path, `a count of ${number}`);
    return number;
  }

  string(): string {
    const length = this.u64();
    this.expect(length);
    return Buffer.from(this.#take(length)).toString("utf8");
  }

  number(size: number, read: (view: DataView) => number): number {
    const bytes = this.#take(size);
    return read(new DataView(bytes.buffer, bytes.byteOffset, size));
  }

  /** Refuses a length that the rest of the file, or of a sensible header, cannot hold. */
  expect(length: number): void {
    if (this.position + length > Math.min(this.file.size, MAX_HEADER_BYTES))
      throw damaged(this.file.path, `a length of ${length} at byte ${this.position}`);
  }

  #take(size: number): Uint8Array {
    this.expect(size);
    const end = this.position + size;
    if (end > this.#windowStart + this.#window.byteLength) {
      this.#windowStart = this.position;
      const length = Math.min(Math.max(size, 1024 * 1024), this.file.size - this.position);
      this.#window = this.file.read(this.position, length);
    }
    const start = this.position - this.#windowStart;
    this.position = end;
    return this.#window.subarray(start, start + size);
  }
}

function bounded(path: string, count: number, most: number, what: string): number {
  if (count <= most) return count;
  throw damaged(path, `it claims ${count} ${what}`);
}

function damaged(path: string, what: string): ModelError {
  return new ModelError("ERR_GGUF_FILE", `this is not a GGUF file that can be read: ${what}.`, {
    where: path,
    fix: "export it again.",
  });
}
