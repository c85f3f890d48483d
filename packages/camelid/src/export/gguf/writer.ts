import { closeSync, openSync, writeSync } from "node:fs";
import {
  MAGIC,
  type Metadata,
  padded,
  storedBytes,
  TENSOR_CODES,
  type TensorInfo,
  VALUE_CODES,
  type Value,
  VERSION,
} from "./format.js";

/**
 * Writes a GGUF file. Tensors are asked for one after the other, so that only one of them is in memory in its new form.
 * @param bytesOf the stored form of a tensor, `storedBytes` long
 */
export function writeGguf(
  path: string,
  metadata: Metadata,
  tensors: readonly TensorInfo[],
  bytesOf: (tensor: TensorInfo) => Uint8Array,
): void {
  const fd = openSync(path, "wx");
  try {
    writeFully(fd, header(metadata, tensors));
    for (const tensor of tensors) {
      const bytes = bytesOf(tensor);
      if (bytes.byteLength !== storedBytes(tensor))
        throw new Error(`${tensor.name}: ${bytes.byteLength} bytes instead of ${storedBytes(tensor)}`);
      writeFully(fd, bytes);
      writeFully(fd, new Uint8Array(padded(bytes.byteLength) - bytes.byteLength));
    }
  } finally {
    closeSync(fd);
  }
}

function writeFully(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done);
}

function header(metadata: Metadata, tensors: readonly TensorInfo[]): Buffer {
  const parts = [u32(MAGIC), u32(VERSION), u64(tensors.length), u64(metadata.size)];
  for (const [key, value] of metadata) parts.push(string(key), valueBytes(value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    parts.push(string(name), u32(shape.length), ...shape.toReversed().map(u64));
    parts.push(u32(TENSOR_CODES[type]), u64(offset));
    offset += padded(storedBytes(tensor));
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat(
    [bytes, Buffer.alloc(padded(bytes.byteLength) - bytes.byteLength)],
    padded(bytes.byteLength),
  );
}

function valueBytes(value: Value): Buffer {
  switch (value.type) {
    case "u32":
      return Buffer.concat([u32(VALUE_CODES.u32), u32(value.value)]);
    case "i32":
      return Buffer.concat([u32(VALUE_CODES.i32), Buffer.from(Int32Array.of(value.value).buffer)]);
    case "f32":
      return Buffer.concat([u32(VALUE_CODES.f32), Buffer.from(Float32Array.of(value.value).buffer)]);
    case "bool":
      return Buffer.concat([u32(VALUE_CODES.bool), Buffer.of(value.value ? 1 : 0)]);
    case "string":
      return Buffer.concat([u32(VALUE_CODES.string), string(value.value)]);
    case "strings":
      return Buffer.concat([arrayOf("string", value.value.length), ...value.value.map(string)]);
    case "f32s":
      return Buffer.concat([
        arrayOf("f32", value.value.length),
        Buffer.from(Float32Array.from(value.value).buffer),
      ]);
    case "i32s":
      return Buffer.concat([
        arrayOf("i32", value.value.length),
        Buffer.from(Int32Array.from(value.value).buffer),
      ]);
  }
}

const arrayOf = (type: "string" | "f32" | "i32", length: number): Buffer =>
  Buffer.concat([u32(VALUE_CODES.array), u32(VALUE_CODES[type]), u64(length)]);

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.byteLength), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
