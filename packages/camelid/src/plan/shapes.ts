/** Shapes of published models, for plans made before a model is here. */
import { parseConfig } from "../model/config.js";
import { weightShapes } from "../model/layer-layout.js";
import type { ModelConfig } from "../model/model-config.js";

type Sizes = [
  hidden: number,
  intermediate: number,
  layers: number,
  heads: number,
  kvHeads: number,
  vocab: number,
];

const SIZES: Record<string, Sizes> = {
  "tinyllama-1.1b": [2048, 5632, 22, 32, 4, 32000],
  "llama-2-7b": [4096, 11008, 32, 32, 32, 32000],
  "llama-2-13b": [5120, 13824, 40, 40, 40, 32000],
  "llama-2-70b": [8192, 28672, 80, 64, 8, 32000],
  "codellama-7b": [4096, 11008, 32, 32, 32, 32016],
  "codellama-13b": [5120, 13824, 40, 40, 40, 32016],
  "codellama-34b": [8192, 22016, 48, 64, 8, 32000],
  "llama-3.1-8b": [4096, 14336, 32, 32, 8, 128256],
  "llama-3.1-70b": [8192, 28672, 80, 64, 8, 128256],
  "llama-3.1-405b": [16384, 53248, 126, 128, 8, 128256],
};

export const shapeNames: readonly string[] = Object.keys(SIZES);

/** @returns undefined for a name that is not in the list */
export function publishedShape(name: string): ModelConfig | undefined {
  const sizes = SIZES[name];
  if (sizes === undefined) return undefined;
  const [
    hidden_size,
    intermediate_size,
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
    vocab_size,
  ] = sizes;
  return parseConfig({
    model_type: "llama",
    torch_dtype: "bfloat16",
    max_position_embeddings: 4096,
    hidden_size,
    intermediate_size,
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
    vocab_size,
  });
}

/** The shape that a preset was made for, by the name of the preset: `tulu2-dpo-70b` -> Llama 2 70B. */
export function shapeOfPreset(preset: string): string | undefined {
  const size = /(\d+b)$/.exec(preset)?.[1];
  const family = preset.startsWith("codetulu2")
    ? "codellama"
    : preset.startsWith("tulu3")
      ? "llama-3.1"
      : "llama-2";
  const name = `${family}-${size}`;
  return name in SIZES ? name : undefined;
}

export interface ParameterCounts {
  total: number;
  /** In the projections of all layers: what adapters go on and NF4 covers. */
  projections: number;
  /** In the largest single projection. */
  largestProjection: number;
}

export function countParameters(config: ModelConfig): ParameterCounts {
  const counts = { total: 0, projections: 0, largestProjection: 0 };
  for (const [name, shape] of weightShapes(config)) {
    const size = shape.reduce((product, side) => product * side, 1);
    counts.total += size;
    if (!/_proj\.weight$/.test(name)) continue;
    counts.projections += size;
    counts.largestProjection = Math.max(counts.largestProjection, size);
  }
  return counts;
}

/** Parameters of the adapters: rank * (in + out) for each projection they go on. */
export function countAdapters(
  config: ModelConfig,
  { rank, targetModules }: { rank: number; targetModules: readonly string[] },
): number {
  let count = 0;
  for (const [name, shape] of weightShapes(config)) {
    const module = /([a-z]+_proj)\.weight$/.exec(name)?.[1];
    if (module !== undefined && targetModules.includes(module)) count += rank * (shape[0]! + shape[1]!);
  }
  return count;
}
