/**
 * Rotary position embedding in the rotate-half layout of Hugging Face checkpoints: dimensions i and i + headDim/2 of a head
 * form a pair that turns by position * frequency_i.
 * @see Su et al. 2021, https://arxiv.org/abs/2104.09864
 */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/** How frequencies are stretched for contexts longer than the base model's. */
export type RopeScaling =
  | { type: "default" }
  | {
      type: "llama3";
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositionEmbeddings: number;
    };

export interface RopeTables {
  /** [tokens, headDim / 2] fp32 */
  cos: Tensor;
  /** [tokens, headDim / 2] fp32 */
  sin: Tensor;
}

/**
 * Frequencies theta^(-2i/headDim) for i = 0 ... headDim/2 - 1, scaled. Computed as fp32 tensors, like the reference: rounding
 * the exact values instead moves the logits of distant tokens in the fifth digit.
 * @returns [headDim / 2] fp32
 */
export function ropeFrequencies(
  headDim: number,
  theta: number,
  scaling: RopeScaling,
  device: Device = "cpu",
): Tensor {
  return torch.tensorScope(() => {
    const exponents = torch.arange(0, headDim, 2, { dtype: "float32" }).div(headDim);
    const frequencies = torch
      .full([headDim / 2], theta, { dtype: "float32" })
      .pow(exponents)
      .reciprocal();
    switch (scaling.type) {
      case "default":
        return frequencies.to({ device });
      case "llama3":
        return scaleLlama3(frequencies, scaling).to({ device });
    }
  });
}

/** Llama 3.1: long wavelengths are slowed by `factor`, short ones kept, those between blended. */
function scaleLlama3(frequencies: Tensor, scaling: Extract<RopeScaling, { type: "llama3" }>): Tensor {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: context } = scaling;
  const wavelengths = frequencies.reciprocal().mul(2 * Math.PI);
  const slowed = frequencies.div(factor);
  const smooth = wavelengths
    .reciprocal()
    .mul(context)
    .sub(lowFreqFactor)
    .div(highFreqFactor - lowFreqFactor);
  const blended = smooth.neg().add(1).mul(slowed).add(smooth.mul(frequencies));
  const isLong = wavelengths.gt(context / lowFreqFactor);
  const isShort = wavelengths.lt(context / highFreqFactor);
  return torch.where(isLong, slowed, torch.where(isShort, frequencies, blended));
}

/**
 * Cosines and sines for a batch. Angles are fp32 whatever the activation dtype: rounding position * frequency to 8 bits
 * would misplace distant tokens.
 * @param positions   [tokens] int64
 * @param frequencies [headDim / 2] fp32
 */
export function ropeTables(positions: Tensor, frequencies: Tensor): RopeTables {
  const angles = torch.outer(positions.to({ dtype: "float32" }), frequencies);
  return { cos: angles.cos(), sin: angles.sin() };
}

/** @param x [tokens, heads, headDim] */
export function applyRope(x: Tensor, { cos, sin }: RopeTables): Tensor {
  return torch.fusedRope(x, cos, sin);
}
