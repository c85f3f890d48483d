import { SafetensorsError } from "./errors.js";
import { type RawTensorInfo, scanSafetensorsJson } from "./safetensors-json.js";

/**
 * The safetensors format (https://github.com/huggingface/safetensors): 8 bytes of little-endian header length,
 * a JSON header, then one buffer that the tensors fill without holes or overlap, row-major, little-endian.
 *
 * Bytes of unknown origin are checked completely before anything is allocated for them: whoever holds a
 * `SafetensorsHeader` may map the file and take every slice as it stands.
 */

/** Dtype names in the order of the reference library, which sorts a file's tensors by it, last one first. */
export const SAFETENSORS_DTYPES = {
  BOOL: { itemSize: 1, dtype: "bool" },
  U8: { itemSize: 1, dtype: "uint8" },
  I8: { itemSize: 1, dtype: "int8" },
  I16: { itemSize: 2, dtype: "int16" },
  F16: { itemSize: 2, dtype: "float16" },
  BF16: { itemSize: 2, dtype: "bfloat16" },
  I32: { itemSize: 4, dtype: "int32" },
  F32: { itemSize: 4, dtype: "float32" },
  F64: { itemSize: 8, dtype: "float64" },
  I64: { itemSize: 8, dtype: "int64" },
} as const;

export type SafetensorsDType = keyof typeof SAFETENSORS_DTYPES;

/** The reference library refuses longer headers too; real ones stay below 5 MB (a 70B Llama: 80 kB). */
export const MAX_HEADER_BYTES = 100_000_000;
/** Data starts at a multiple of this, so that a mapped file can be computed on in place. */
export const DATA_ALIGNMENT = 64;
/** More dimensions than libtorch's iterators or NumPy take. */
const MAX_RANK = 64;

const GET_AGAIN = "download or save the file again.";

export interface SafetensorsTensorInfo {
  dtype: SafetensorsDType;
  shape: number[];
  /** First byte, counted from `dataOffset`. */
  begin: number;
  /** One past the last byte, counted from `dataOffset`. */
  end: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  /** In the order of their bytes in the file. */
  tensors: Map<string, SafetensorsTensorInfo>;
  /** Where in the file the data begins. */
  dataOffset: number;
  /** `dataOffset` plus all tensor bytes; a reader that maps the file later compares it with the size it finds. */
  fileSize: number;
}

/**
 * Header length from the first bytes of a file.
 * @throws {SafetensorsError} when it cannot be right for a file of `fileSize` bytes
 */
export function checkHeaderLength(prefix: Uint8Array, fileSize: number, file: string): number {
  const where = file;
  if (prefix.byteLength < 8) {
    throw new SafetensorsError("ERR_SAFETENSORS_TRUNCATED", `the file has ${fileSize} bytes and no header.`, {
      where,
      fix: GET_AGAIN,
    });
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new SafetensorsError(
      "ERR_SAFETENSORS_HEADER_LENGTH",
      `the header claims ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed.`,
      { where, fix: "check that this is a safetensors file and not, say, a PyTorch .bin or a web page." },
    );
  }
  if (length + 8n > BigInt(fileSize)) {
    throw new SafetensorsError(
      "ERR_SAFETENSORS_TRUNCATED",
      `the header claims ${length} bytes, but the file has only ${fileSize}.`,
      { where, fix: GET_AGAIN },
    );
  }
  return Number(length);
}

/**
 * Parses and checks a whole header.
 * @param json     the header's bytes, without the 8 bytes of length before them
 * @param fileSize size of the whole file in bytes
 * @param file     name for error messages
 * @throws {SafetensorsError} unless every tensor is sound and together they fill the file exactly
 */
export function parseSafetensorsHeader(json: Uint8Array, fileSize: number, file: string): SafetensorsHeader {
  const raw = scanSafetensorsJson(json, file);
  const dataOffset = 8 + json.byteLength;
  const entries = [...raw.tensors].map(([name, info]) => [name, checkTensor(name, info, file)] as const);
  // Writers may list tensors in any order; only the bytes have to be contiguous.
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, fileSize - dataOffset, file);
  return { metadata: raw.metadata, tensors: new Map(entries), dataOffset, fileSize };
}

function checkTensor(name: string, info: RawTensorInfo, file: string): SafetensorsTensorInfo {
  const where = `${file}, tensor ${quote(name)}`;
  const { dtype, shape, begin, end } = info;
  if (!isSupportedDType(dtype)) {
    throw new SafetensorsError("ERR_SAFETENSORS_DTYPE", `dtype ${quote(dtype)} is not supported.`, {
      where,
      fix: `convert the tensor to one of ${Object.keys(SAFETENSORS_DTYPES).join(", ")}.`,
    });
  }
  const size = tensorByteLength(dtype, shape);
  if (size === undefined) {
    throw new SafetensorsError("ERR_SAFETENSORS_SHAPE", `shape ${showShape(shape)} is impossibly large.`, {
      where,
      fix: GET_AGAIN,
    });
  }
  if (end < begin || end - begin !== size) {
    throw new SafetensorsError(
      "ERR_SAFETENSORS_OFFSETS",
      `${dtype} of shape ${showShape(shape)} needs ${size} bytes, but data_offsets are [${begin}, ${end}].`,
      { where, fix: GET_AGAIN },
    );
  }
  return { dtype, shape, begin, end };
}

function checkLayout(
  entries: readonly (readonly [string, SafetensorsTensorInfo])[],
  dataLength: number,
  file: string,
): void {
  let position = 0;
  let previous = "the header";
  for (const [name, { begin, end }] of entries) {
    const where = `${file}, tensor ${quote(name)}`;
    if (begin < position) {
      throw new SafetensorsError("ERR_SAFETENSORS_OFFSETS", `its bytes overlap those of ${previous}.`, {
        where,
        fix: GET_AGAIN,
      });
    }
    if (begin > position) {
      const message = `there is a hole of ${begin - position} bytes between ${previous} and this tensor.`;
      throw new SafetensorsError("ERR_SAFETENSORS_OFFSETS", message, { where, fix: GET_AGAIN });
    }
    if (end > dataLength) {
      const message = `the file ends ${end - dataLength} bytes before this tensor does.`;
      throw new SafetensorsError("ERR_SAFETENSORS_TRUNCATED", message, {
        where,
        fix: GET_AGAIN,
      });
    }
    position = end;
    previous = quote(name);
  }
  if (position !== dataLength) {
    const message = `${dataLength - position} bytes at the end of the file belong to no tensor.`;
    throw new SafetensorsError("ERR_SAFETENSORS_OFFSETS", message, {
      where: file,
      fix: GET_AGAIN,
    });
  }
}

/** Bytes of a tensor, or undefined when the shape is not one: negative, fractional, too many dimensions, overflow. */
export function tensorByteLength(dtype: SafetensorsDType, shape: readonly number[]): number | undefined {
  if (shape.length > MAX_RANK) return undefined;
  let size: number = SAFETENSORS_DTYPES[dtype].itemSize;
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) return undefined;
    size *= length;
    if (!Number.isSafeInteger(size)) return undefined;
  }
  return size;
}

export function isSupportedDType(name: string): name is SafetensorsDType {
  return Object.hasOwn(SAFETENSORS_DTYPES, name);
}

const quote = (text: string) => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
const showShape = (shape: readonly number[]) =>
  shape.length > 8 ? `[${shape.slice(0, 8).join(", ")}, … ${shape.length} numbers]` : `[${shape.join(", ")}]`;
