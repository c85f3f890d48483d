/**
 * NF4 with double quantisation (Dettmers et al. 2023, QLoRA, https://arxiv.org/abs/2305.14314), as bitsandbytes defines it: 4-bit
 * codes in blocks of 64 values that share their largest absolute value; those maxima in 8 bits, in blocks of 256. This is the
 * plain reference that the native kernels (packages/torch/native/nf4.cc) are held against, for tests only; itself checked
 * code for code in tests/parity/nf4.test.ts.
 */
import { ModelError } from "../errors.js";

/** The sixteen values: quantiles of a normal distribution, zero among them, more above it than below. */
export const NF4_VALUES = Float32Array.of(
  ...[-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635],
  ...[-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725],
  ...[0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941],
  ...[0.7229568362236023, 1.0],
);
const BLOCK = 64;
const NESTED_BLOCK = 256;
const ZERO_CODE = 7;

/** A code is the number of these that lie below the value: half-way between neighbours, so a tie goes down. */
const MIDPOINTS = Float32Array.from({ length: 15 }, (_, i) => (NF4_VALUES[i]! + NF4_VALUES[i + 1]!) / 2);

export interface Nf4Matrix {
  shape: readonly number[];
  /** Two codes a byte, the first in the high half; an odd count is filled up with the code of zero. */
  packed: Uint8Array;
  /** Code of each block's maximum in `dynamicMap`. */
  absmaxCodes: Uint8Array;
  /** Largest absolute value of (maximum - offset) in each block of 256 maxima. */
  nestedAbsmax: Float32Array;
  /** Mean of the maxima. */
  offset: number;
}

/**
 * @param values row-major
 * @param options `throughFp16` rounds to half precision first, as bitsandbytes did when it moved weights to a GPU (Tulu 2's time)
 * @throws {ModelError} `ERR_NF4_SHAPE`, `ERR_NF4_VALUES` for a value that is no finite number
 */
export function quantizeNf4(
  values: Float32Array,
  shape: readonly number[],
  { throughFp16 = false }: { throughFp16?: boolean } = {},
): Nf4Matrix {
  if (shape.reduce((product, size) => product * size, 1) !== values.length || values.length === 0) {
    throw new ModelError(
      "ERR_NF4_SHAPE",
      `${values.length} values do not fill a matrix of shape [${shape}].`,
      {
        fix: "give one value per element.",
      },
    );
  }
  const rounded = throughFp16 ? values.map(roundToHalf) : values;
  const maxima = new Float32Array(Math.ceil(values.length / BLOCK));
  const packed = new Uint8Array(Math.ceil(values.length / 2));
  for (let block = 0; block < maxima.length; block++) {
    const start = block * BLOCK;
    const end = Math.min(start + BLOCK, values.length);
    const absmax = largestMagnitude(rounded.subarray(start, end));
    if (!Number.isFinite(absmax)) {
      throw new ModelError("ERR_NF4_VALUES", "a value is infinite or not a number.", {
        where: `elements ${start} to ${end - 1}`,
        fix: throughFp16 ? "quantise without the rounding to fp16." : "check the weights.",
      });
    }
    maxima[block] = absmax;
    const reciprocal = Math.fround(1 / absmax);
    const inverse = Number.isFinite(reciprocal) ? reciprocal : 0; // a block of zeros stays zeros
    for (let i = start; i < end; i++) {
      const code = nf4Code(Math.fround(rounded[i]! * inverse));
      packed[i >> 1]! |= i % 2 === 0 ? code << 4 : code;
    }
  }
  if (values.length % 2 === 1) packed[packed.length - 1]! |= ZERO_CODE;
  return { shape, packed, ...quantizeMaxima(maxima) };
}

/** @returns row-major fp32 */
export function dequantizeNf4({ shape, packed, ...maxima }: Nf4Matrix): Float32Array {
  const length = shape.reduce((product, size) => product * size, 1);
  const { absmaxCodes, nestedAbsmax } = maxima;
  const blocks = Math.ceil(length / BLOCK);
  const nested = Math.ceil(blocks / NESTED_BLOCK);
  if (
    packed.length !== Math.ceil(length / 2) ||
    absmaxCodes.length !== blocks ||
    nestedAbsmax.length !== nested
  ) {
    throw new ModelError(
      "ERR_NF4_SHAPE",
      `a matrix of shape [${shape}] needs ${Math.ceil(length / 2)} bytes, ${blocks} maxima and ${nested} nested ones, not ${packed.length}, ${absmaxCodes.length} and ${nestedAbsmax.length}.`,
      { fix: "read weights and statistics of the same matrix." },
    );
  }
  const absmax = dequantizeMaxima(maxima);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const byte = packed[i >> 1]!;
    const code = i % 2 === 0 ? byte >> 4 : byte & 15;
    values[i] = NF4_VALUES[code]! * absmax[Math.floor(i / BLOCK)]!;
  }
  return values;
}

type Maxima = Pick<Nf4Matrix, "absmaxCodes" | "nestedAbsmax" | "offset">;

function quantizeMaxima(maxima: Float32Array): Maxima {
  const offset = Math.fround(maxima.reduce((sum, value) => sum + value, 0) / maxima.length);
  const shifted = maxima.map((value) => value - offset);
  const { codes, absmax } = quantizeDynamic(shifted, dynamicMap());
  return { absmaxCodes: codes, nestedAbsmax: absmax, offset };
}

/** Codes in `map` relative to the largest magnitude of each block of 256, and these. The moments of 8-bit AdamW are kept so. */
export function quantizeDynamic(
  values: Float32Array,
  map: Float32Array,
): { codes: Uint8Array; absmax: Float32Array } {
  const absmax = new Float32Array(Math.ceil(values.length / NESTED_BLOCK));
  const codes = new Uint8Array(values.length);
  for (let block = 0; block < absmax.length; block++) {
    const start = block * NESTED_BLOCK;
    const end = Math.min(start + NESTED_BLOCK, values.length);
    const largest = largestMagnitude(values.subarray(start, end));
    absmax[block] = largest;
    for (let i = start; i < end; i++)
      codes[i] = nearest(map, largest > 0 ? Math.fround(values[i]! / largest) : 0);
  }
  return { codes, absmax };
}

function dequantizeMaxima({ absmaxCodes, nestedAbsmax, offset }: Maxima): Float32Array {
  const map = dynamicMap();
  return Float32Array.from(
    absmaxCodes,
    (code, i) => Math.fround(map[code]! * nestedAbsmax[Math.floor(i / NESTED_BLOCK)]!) + offset,
  );
}

/**
 * 256 values in rising order, finer near zero: for e = 0 ... 6 the 2^e means of neighbouring borders, evenly spaced from 0.1 to 1,
 * times 10^(e - 6), with both signs; 0, and 1 without a -1. Unsigned, twice as many means instead of the other sign.
 */
export function dynamicMap(signed = true): Float32Array {
  const values = [0, 1];
  for (let e = 0; e < 7; e++) {
    // In fp32, from the nearer end as torch.linspace does: the last bits are bitsandbytes' too.
    const count = 2 ** (signed ? e : e + 1);
    const tenth = Math.fround(0.1);
    const step = Math.fround((1 - tenth) / count);
    const border = (i: number): number =>
      Math.fround(i < Math.floor((count + 1) / 2) ? step * i + tenth : 1 - step * (count - i));
    for (let i = 0; i < count; i++) {
      const mean = Math.fround(Math.fround(border(i) + border(i + 1)) / 2);
      const value = Math.fround(Math.fround(10 ** (e - 6)) * mean);
      values.push(value);
      if (signed) values.push(-value);
    }
  }
  return Float32Array.from(values).sort();
}

function nf4Code(value: number): number {
  let code = 0;
  while (code < MIDPOINTS.length && value > MIDPOINTS[code]!) code++;
  return code;
}

/** Index of the nearest entry of a rising list; of two equally near ones the lower. */
function nearest(entries: Float32Array, value: number): number {
  let low = 0;
  let high = entries.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (entries[middle]! <= value) low = middle;
    else high = middle;
  }
  return value - entries[low]! <= entries[high]! - value ? low : high;
}

function largestMagnitude(values: Float32Array): number {
  let largest = 0;
  for (const value of values) {
    const magnitude = Math.abs(value);
    if (!(magnitude <= largest)) largest = magnitude; // NaN comes through
    if (Number.isNaN(largest)) return largest;
  }
  return largest;
}

/** To the nearest half-precision number, ties to even; too large becomes infinite. */
function roundToHalf(value: number): number {
  const magnitude = Math.abs(value);
  if (!(magnitude < 65520)) return Number.isNaN(value) ? value : Math.sign(value) * Number.POSITIVE_INFINITY;
  // The distance of neighbours: 2^-10 of the power of two below the value, at least 2^-24 (subnormal).
  const exponent = magnitude === 0 ? -14 : Math.max(-14, Math.floor(Math.log2(magnitude)));
  const step = 2 ** (exponent - 10);
  const quotient = value / step;
  const floor = Math.floor(quotient);
  const rest = quotient - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return (up ? floor + 1 : floor) * step;
}
