/**
 * A weight matrix in NF4 with double quantisation (Dettmers et al. 2023, QLoRA, https://arxiv.org/abs/2305.14314): 4.13 bits a
 * weight. The kernels are native (packages/torch/native/nf4.cc) and equal `nf4-reference.ts` bit for bit; how a matrix is
 * stored in a file is said in `nf4-tensors.ts`.
 */
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../errors.js";

export interface Nf4Settings {
  /** Keep block maxima in 8 bits: 4.13 bits a weight instead of 4.5. */
  doubleQuant: boolean;
  /**
   * Round to half precision first, as bitsandbytes did when it moved weights to a GPU (in Tulu 2's time). Codes then equal
   * those of that time; values above 65,504 are refused.
   */
  throughFp16: boolean;
}

export const NF4_BLOCK = 64;
export const NESTED_BLOCK = 256;

export interface Nf4Parts {
  /** [out, in] */
  shape: readonly [number, number];
  /** [(out * in + 1) / 2, 1] uint8: two codes a byte, the first in the high half. */
  packed: Tensor;
  /** [blocks]: fp32 maxima, or with `nested` their 8-bit codes. */
  absmax: Tensor;
  /** Largest |maximum - offset| of each 256 maxima, and the mean of all maxima. */
  nested: { absmax: Tensor; offset: number } | undefined;
  /** What the matrix was before it was quantised. */
  sourceDtype: DType;
}

/** Owns its tensors. */
export class Nf4Weight implements Disposable {
  readonly shape: readonly [number, number];
  readonly sourceDtype: DType;
  readonly packed: Tensor;
  readonly absmax: Tensor;
  readonly nested: { absmax: Tensor; offset: number } | undefined;

  constructor({ shape, packed, absmax, nested, sourceDtype }: Nf4Parts) {
    this.shape = shape;
    this.packed = packed;
    this.absmax = absmax;
    this.nested = nested;
    this.sourceDtype = sourceDtype;
  }

  /** @returns a new tensor [out, in]: what the codes stand for, rounded once to `dtype` */
  dequantize(dtype: DType): Tensor {
    const { packed, absmax, nested, shape } = this;
    return torch.noGrad(() =>
      torch.nf4Dequantize(packed, absmax, nested?.absmax, nested?.offset ?? 0, shape, dtype),
    );
  }

  /**
   * x W^T + bias, [..., out]. On CUDA up to eight rows, as in decoding, are multiplied with the codes themselves, unrounded; else
   * the product is that with `dequantize(x.dtype)`, which is freed after it.
   */
  linear(x: Tensor, bias: Tensor | undefined): Tensor {
    const { packed, absmax, nested, shape } = this;
    return torch.noGrad(() =>
      torch.nf4Linear(x, packed, absmax, nested?.absmax, nested?.offset ?? 0, shape[0], bias),
    );
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.packed, this.absmax, this.nested?.absmax]) tensor?.dispose();
  }
}

/**
 * @param weight [out, in] fp32, bf16 or fp16; stays the caller's
 * @param name for messages
 * @throws {ModelError} `ERR_NF4_VALUES` when a value is no finite number, or with `throughFp16` too large for one
 */
export function quantizeNf4(
  weight: Tensor,
  { doubleQuant, throughFp16 }: Nf4Settings,
  name: string,
): Nf4Weight {
  const [out, into] = weight.shape as [number, number];
  return torch.noGrad(() => {
    using scope = torch.tensorScope();
    const [packed, maxima] = torch.nf4Quantize(weight.detach(), throughFp16);
    if (!maxima.isfinite().all().item()) {
      throw new ModelError("ERR_NF4_VALUES", "a weight is infinite or not a number.", {
        where: `tensor "${name}"`,
        fix: throughFp16
          ? "quantise without quantize.throughFp16, or check the weights."
          : "check the weights; fetch the model again.",
      });
    }
    const parts = { shape: [out, into] as const, packed: scope.keep(packed), sourceDtype: weight.dtype };
    if (!doubleQuant) return new Nf4Weight({ ...parts, absmax: scope.keep(maxima), nested: undefined });
    const offset = Math.fround(maxima.mean([], false, { dtype: "float64" }).item());
    // The second level is small, and its kernel is the CPU's.
    const [codes, absmax] = torch.dynamicQuantize(maxima.to({ device: "cpu" }), offset, NESTED_BLOCK, true);
    const { device } = weight;
    const nested = { absmax: scope.keep(absmax.to({ device })), offset };
    return new Nf4Weight({ ...parts, absmax: scope.keep(codes.to({ device })), nested });
  });
}

/** @param weight given away: its tensors are those of the result, or disposed */
export function moveNf4(weight: Nf4Weight, device: Device): Nf4Weight {
  if (weight.packed.device === device) return weight;
  const { packed, absmax, nested } = weight;
  const moved = {
    ...weight,
    packed: packed.to({ device }),
    absmax: absmax.to({ device }),
    nested: nested === undefined ? undefined : { ...nested, absmax: nested.absmax.to({ device }) },
  };
  weight[Symbol.dispose]();
  return new Nf4Weight(moved);
}

/** All of a weight but its tensors; plain data. */
export interface Nf4Description {
  shape: readonly [number, number];
  sourceDtype: DType;
  /** Of the maxima; null without double quantisation. */
  offset: number | null;
}

export function nf4Description({ shape, sourceDtype, nested }: Nf4Weight): Nf4Description {
  return { shape, sourceDtype, offset: nested?.offset ?? null };
}

/** The weight that `description` is of, its tensors without memory (`torch.dropStorage`). */
export function hollowNf4({ shape, sourceDtype, offset }: Nf4Description, device: Device): Nf4Weight {
  const hollow = (sizes: readonly number[], dtype: DType): Tensor => {
    const tensor = torch.empty(sizes, { dtype, device });
    torch.dropStorage(tensor);
    return tensor;
  };
  const count = shape[0] * shape[1];
  const blocks = Math.ceil(count / NF4_BLOCK);
  const packed = hollow([Math.ceil(count / 2), 1], "uint8");
  if (offset === null)
    return new Nf4Weight({
      shape,
      packed,
      absmax: hollow([blocks], "float32"),
      nested: undefined,
      sourceDtype,
    });
  const nested = { absmax: hollow([Math.ceil(blocks / NESTED_BLOCK)], "float32"), offset };
  return new Nf4Weight({ shape, packed, absmax: hollow([blocks], "uint8"), nested, sourceDtype });
}
