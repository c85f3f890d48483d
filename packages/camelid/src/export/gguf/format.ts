/** The GGUF container, version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata, then aligned tensors. */

export const MAGIC = 0x46554747; // "GGUF"
export const VERSION = 3;
export const ALIGNMENT = 32;

/** How numbers of a tensor are stored; the codes are ggml's. */
export const TENSOR_CODES = { f32: 0, f16: 1, q8_0: 8, bf16: 30 } as const;
export type TensorType = keyof typeof TENSOR_CODES;

/** `general.file_type`: what most tensors are. */
export const FILE_TYPES: Readonly<Record<TensorType, number>> = { f32: 0, f16: 1, q8_0: 7, bf16: 32 };

/** Values in a block of q8_0, which shares one scale. */
export const Q8_BLOCK = 32;
const Q8_BLOCK_BYTES = 2 + Q8_BLOCK;

/** Codes of metadata values. */
export const VALUE_CODES = {
  ...{
    u8: 0,
    i8: 1,
    u16: 2,
    i16: 3,
    u32: 4,
    i32: 5,
    f32: 6,
    bool: 7,
    string: 8,
    array: 9,
    u64: 10,
    i64: 11,
    f64: 12,
  },
} as const;

/** A metadata value as it is written: the type is part of it, because readers insist on it. */
export type Value =
  | { type: "u32"; value: number }
  | { type: "i32"; value: number }
  | { type: "f32"; value: number }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "strings"; value: readonly string[] }
  | { type: "f32s"; value: ArrayLike<number> }
  | { type: "i32s"; value: ArrayLike<number> };

export type Metadata = ReadonlyMap<string, Value>;

export interface TensorInfo {
  name: string;
  /** Rows first, as everywhere here; the file has them the other way round. */
  shape: readonly number[];
  type: TensorType;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a tensor in the file, without padding. */
export function storedBytes({ shape, type }: Pick<TensorInfo, "shape" | "type">): number {
  const count = elementCount(shape);
  switch (type) {
    case "f32":
      return 4 * count;
    case "f16":
    case "bf16":
      return 2 * count;
    case "q8_0":
      return (count / Q8_BLOCK) * Q8_BLOCK_BYTES;
  }
}

export const padded = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
