import { describe, expect, test } from "vitest";
import {
  dequantizeNf4,
  dynamicMap,
  NF4_VALUES,
  quantizeNf4,
} from "../../packages/camelid/src/nn/nf4-reference.js";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";

const stored = readReferenceTensors("lora/fixtures/nf4.safetensors");
const { matrices, quant_map, nested_quant_map } = readReferenceJson<{
  matrices: Record<string, { shape: number[]; offset: number }>;
  quant_map: number[];
  nested_quant_map: number[];
}>("lora/fixtures/nf4.json");

/** The maxima's mean is summed in another order: a last bit of it, and of what is added to it (maxima go up to 10). */
const LAST_BITS = { atol: 5e-7, rtol: 1e-6 };

test("the values of both codes are bitsandbytes'", () => {
  expect(Array.from(NF4_VALUES)).toEqual(quant_map);
  expect(Array.from(dynamicMap())).toEqual(nested_quant_map);
  expect(dynamicMap()[127]).toBe(0);
  expect(dynamicMap()[255]).toBe(1);
});

describe.each(Object.entries(matrices))("%s", (name, { shape, offset }) => {
  const source = Float32Array.from(stored.get(`${name}.source`).data);
  const quantized = quantizeNf4(source, shape, { throughFp16: true });

  test("has the stored codes, bit for bit", () => {
    expect(quantized.packed).toEqual(stored.get(`${name}.packed`).data);
    expect(quantized.absmaxCodes).toEqual(stored.get(`${name}.absmax_codes`).data);
  });

  test("has the stored statistics and restored values", () => {
    expect(quantized.offset).toBeAllClose(offset, LAST_BITS);
    expect(quantized.nestedAbsmax).toBeAllClose(stored.get(`${name}.nested_absmax`), LAST_BITS);
    expect(dequantizeNf4(quantized)).toBeAllClose(stored.get(`${name}.restored`), LAST_BITS);
  });
});

test("zeros come back as zeros, a constant as itself, an odd count complete", () => {
  expect(dequantizeNf4(quantizeNf4(new Float32Array(130), [2, 65]))).toEqual(new Float32Array(130));
  const constant = new Float32Array(63).fill(-0.25);
  expect(dequantizeNf4(quantizeNf4(constant, [63]))).toEqual(constant);
});

test("values that NF4 cannot hold, and statistics of another matrix, are refused", () => {
  expect(() => quantizeNf4(Float32Array.of(1, Number.NaN), [2])).toThrow(/not a number/);
  expect(() => quantizeNf4(Float32Array.of(1, 70_000), [2], { throughFp16: true })).toThrow(/infinite/);
  expect(() => quantizeNf4(Float32Array.of(1, 2), [3])).toThrow(/do not fill/);
  const matrix = quantizeNf4(new Float32Array(128).fill(1), [2, 64]);
  expect(() => dequantizeNf4({ ...matrix, absmaxCodes: new Uint8Array(1) })).toThrow(/2 maxima/);
});
