import type { DType } from "@camelid/torch";

/** Bytes per element. */
export const ITEM_SIZE: Readonly<Record<DType, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  int16: 2,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  float32: 4,
  float64: 8,
  int64: 8,
};

/** A stretch of a file, in bytes from its start. */
export interface FileSlice {
  offset: number;
  length: number;
}

/** One named tensor in a file, read only when asked for. */
export interface WeightEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Path of the file that holds it. */
  readonly file: string;
  /**
   * Where the tensor lies in `file` exactly as `read` returns it, for whoever maps the file instead.
   * Undefined when the stored order is another one (a transposed or expanded tensor in a PyTorch file).
   */
  readonly slice: FileSlice | undefined;
  /** A fresh copy of the tensor's bytes: row-major, contiguous, little-endian. */
  read(): Uint8Array;
}

/** Number of bytes, or undefined when the shape is none: negative, fractional, over 64 dimensions, past 2^53. */
export function byteLengthOf(dtype: DType, shape: readonly number[]): number | undefined {
  if (shape.length > 64) return undefined;
  let bytes = ITEM_SIZE[dtype];
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) return undefined;
    bytes *= length;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}
