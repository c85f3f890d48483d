/** Tensors to the bytes of a GGUF file and back. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../../errors.js";
import { elementCount, Q8_BLOCK, type TensorType } from "./format.js";

const DTYPES = { f32: "float32", f16: "float16", bf16: "bfloat16" } as const;
const BLOCK_BYTES = 2 + Q8_BLOCK;

/** @throws {ModelError} `ERR_GGUF_RANGE` when a value is no number, or too large for fp16 */
export function encodeTensor(tensor: Tensor, type: TensorType, name: string): Uint8Array {
  return torch.tensorScope(() => {
    const bytes = type === "q8_0" ? encodeQ8(tensor, name) : checkFinite(cast(tensor, type), name).toBytes();
    return bytes;
  });
}

const cast = (tensor: Tensor, type: keyof typeof DTYPES): Tensor => tensor.to({ dtype: DTYPES[type] });

/**
 * q8_0: blocks of 32 values of a row, each value an 8-bit multiple of the block's scale, which is a 127th of the largest
 * magnitude, in fp16. Halves are rounded away from zero and values are divided by the scale in fp32, as llama.cpp does it.
 */
function encodeQ8(tensor: Tensor, name: string): Uint8Array {
  const blocks = tensor.to({ dtype: "float32" }).reshape([-1, Q8_BLOCK]);
  const scales = blocks.abs().amax([1], true).div(127);
  const inverse = torch.where(scales.eq(0), scales, scales.reciprocal());
  const scaled = blocks.mul(inverse);
  const codes = scaled.sign().mul(scaled.abs().add(0.5).floor()).to({ dtype: "int8" }).toBytes();
  const halves = checkFinite(scales.to({ dtype: "float16" }), name).toBytes();
  const count = halves.byteLength / 2;
  const bytes = new Uint8Array(count * BLOCK_BYTES);
  for (let block = 0; block < count; block++) {
    const at = block * BLOCK_BYTES;
    bytes[at] = halves[2 * block]!;
    bytes[at + 1] = halves[2 * block + 1]!;
    bytes.set(codes.subarray(block * Q8_BLOCK, (block + 1) * Q8_BLOCK), at + 2);
  }
  return bytes;
}

function checkFinite(tensor: Tensor, name: string): Tensor {
  if (torch.tensorScope(() => tensor.to({ dtype: "float32" }).abs().amax().item()) < Number.POSITIVE_INFINITY)
    return tensor;
  throw new ModelError("ERR_GGUF_RANGE", `a value is not a number that ${tensor.dtype} can hold.`, {
    where: name,
    fix: "export as bf16 or f32; if that fails too, the weights themselves are damaged.",
  });
}

/** @returns fp32 tensor; belongs to the caller */
export function decodeTensor(bytes: Uint8Array, shape: readonly number[], type: TensorType): Tensor {
  if (type !== "q8_0") {
    return torch.tensorScope(() => torch.fromBytes(bytes, [...shape], DTYPES[type]).to({ dtype: "float32" }));
  }
  const count = elementCount(shape) / Q8_BLOCK;
  const halves = new Uint8Array(2 * count);
  const codes = new Uint8Array(Q8_BLOCK * count);
  for (let block = 0; block < count; block++) {
    const at = block * BLOCK_BYTES;
    halves[2 * block] = bytes[at]!;
    halves[2 * block + 1] = bytes[at + 1]!;
    codes.set(bytes.subarray(at + 2, at + BLOCK_BYTES), block * Q8_BLOCK);
  }
  return torch.tensorScope(() => {
    const scales = torch.fromBytes(halves, [count, 1], "float16").to({ dtype: "float32" });
    const values = torch.fromBytes(codes, [count, Q8_BLOCK], "int8").to({ dtype: "float32" });
    return values.mul(scales).reshape([...shape]);
  });
}
