/**
 * Rotary position embedding in the rotate-half layout of Hugging Face checkpoints: dimensions i and i + headDim/2 of a head
 * form a pair that turns by position * frequency_i.
 * @see Su et al. 2021, https://arxiv.org/abs/2104.09864
 */
import type { DType, Tensor } from "@camelid/torch";
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
  /** [tokens, 1, headDim] */
  cos: Tensor;
  /** [tokens, 1, headDim] */
  sin: Tensor;
}

/** Frequencies theta^(-2i/headDim) for i = 0 ... headDim/2 - 1, scaled, in fp32 precision as the reference computes them. */
export function ropeFrequencies(headDim: number, theta: number, scaling: RopeScaling): Float32Array {
  const frequencies = Float32Array.from({ length: headDim / 2 }, (_, i) =>
    Math.fround(1 / Math.fround(theta ** Math.fround((2 * i) / headDim))),
  );
  switch (scaling.type) {
    case "default":
      return frequencies;
    case "llama3":
      return frequencies.map((frequency) => scaleLlama3(frequency, scaling));
  }
}

/** Llama 3.1: long wavelengths are slowed by `factor`, short ones kept, those between blended. */
function scaleLlama3(frequency: number, scaling: Extract<RopeScaling, { type: "llama3" }>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: context } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < context / highFreqFactor) return frequency;
  if (wavelength > context / lowFreqFactor) return frequency / factor;
  const smooth = (context / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/**
 * Cosines and sines for a batch. Angles are fp32 whatever the activation dtype: rounding position * frequency to 8 bits
 * would misplace distant tokens.
 * @param positions   [tokens] int64
 * @param frequencies [headDim / 2] fp32
 */
export function ropeTables(positions: Tensor, frequencies: Tensor, dtype: DType): RopeTables {
  const angles = torch.outer(positions.to({ dtype: "float32" }), frequencies); // [tokens, headDim / 2]
  const both = torch.cat([angles, angles], 1).unsqueeze(1);
  return { cos: both.cos().to({ dtype }), sin: both.sin().to({ dtype }) };
}

/** @param x [tokens, heads, headDim] */
export function applyRope(x: Tensor, { cos, sin }: RopeTables): Tensor {
  const [first, second] = x.chunk(2, -1) as [Tensor, Tensor];
  return x.mul(cos).add(torch.cat([second.neg(), first], -1).mul(sin));
}
