/** What a run trains, parameter by parameter, in the order in which the model names them: ownership and messages follow it. */
import type { DType } from "@camelid/torch";
import { EMBEDDING, FINAL_NORM, HEAD, weightShapes } from "../model/layer-layout.js";
import type { ModelConfig } from "../model/model-config.js";
import type { Sized } from "../parallel/buckets.js";

export interface PlannedParameter extends Sized {
  readonly name: string;
}

/**
 * Every weight, or the matrices of the adapters.
 * @see `Decoder.namedParameters`, `LoraAdapter.namedParameters`
 */
export function trainedParameters(
  config: ModelConfig,
  lora: { rank: number; targetModules: readonly string[] } | null,
  dtype: "float32" | "bfloat16",
): PlannedParameter[] {
  const shapes = [...weightShapes(config)];
  const named = (name: string, numel: number) => sized(name, numel, dtype);
  if (lora !== null) {
    return shapes.flatMap(([name, shape]) => {
      const [, projection, module] = /^(.*?([a-z]+_proj))\.weight$/.exec(name) ?? [];
      if (module === undefined || !lora.targetModules.includes(module)) return [];
      const [out, into] = shape as [number, number];
      return [
        named(`${projection}.lora_A.weight`, lora.rank * into),
        named(`${projection}.lora_B.weight`, lora.rank * out),
      ];
    });
  }
  return shapes
    .map(([name, shape]) => named(name, product(shape)))
    .sort((a, b) => placeOf(a.name) - placeOf(b.name));
}

/**
 * Where weights are in parts: the projections of each layer, which are gathered and released together, and all others, which every
 * rank has.
 * @see `model/deal-weights.ts`
 */
export function blocksOf(config: ModelConfig, dtype: "float32" | "bfloat16"): WeightBlocks {
  const blocks = new Map<string, PlannedParameter[]>();
  const whole: PlannedParameter[] = [];
  const all = [...weightShapes(config)].map(([name, shape]) => sized(name, product(shape), dtype));
  for (const weight of all) {
    const layer = /^model\.layers\.\d+\..*_proj\.weight$/.test(weight.name)
      ? weight.name.split(".", 3).join(".")
      : undefined;
    if (layer === undefined) whole.push(weight);
    else blocks.set(layer, [...(blocks.get(layer) ?? []), weight]);
  }
  return { blocks: [...blocks.values()], whole, all };
}

export interface WeightBlocks {
  blocks: readonly (readonly PlannedParameter[])[];
  whole: readonly PlannedParameter[];
  /** In the order in which they are dealt out. */
  all: readonly PlannedParameter[];
}

/** Embedding, norms of all layers, projections of all layers, last norm, head. */
function placeOf(name: string): number {
  if (name === EMBEDDING) return 0;
  if (name === FINAL_NORM) return 3;
  if (name === HEAD) return 4;
  return /_proj\.(weight|bias)$/.test(name) ? 2 : 1;
}

function sized(name: string, numel: number, dtype: DType): PlannedParameter {
  return { name, numel, dtype, sizeBytes: numel * (dtype === "float32" ? 4 : 2) };
}

const product = (shape: readonly number[]): number => shape.reduce((all, side) => all * side, 1);
