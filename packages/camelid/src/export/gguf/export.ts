/** A model as one GGUF file: weights, tokenizer, chat template. */
import { statSync } from "node:fs";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { LanguageModel } from "../../model/language-model.js";
import type { ModelConfig } from "../../model/model-config.js";
import { ropeFrequencies } from "../../nn/rope.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { ParityFixtures } from "../fixtures.js";
import { architectureMetadata, architectureOf, ggufName, reorderRows } from "./architecture.js";
import { encodeTensor } from "./encode.js";
import { ALIGNMENT, FILE_TYPES, Q8_BLOCK, type TensorInfo, type TensorType, type Value } from "./format.js";
import { vocabularyMetadata } from "./vocabulary.js";
import { writeGguf } from "./writer.js";

/** What scaled rotary frequencies are told by: the factor by which each is slower than the unscaled one. */
export const ROPE_FACTORS = "rope_freqs.weight";

export interface GgufSummary {
  sizeBytes: number;
  /** Tensors in another type than was asked for, because their rows are no multiple of the block. */
  exceptions: readonly { name: string; type: TensorType }[];
}

/**
 * @param model without adapters
 * @throws {ModelError} `ERR_GGUF_ARCHITECTURE`, `ERR_GGUF_TOKENIZER`, `ERR_GGUF_RANGE`
 */
export async function writeGgufModel(
  path: string,
  model: LanguageModel,
  tokenizer: Tokenizer,
  fixtures: ParityFixtures,
  { type, name }: { type: TensorType; name: string },
): Promise<GgufSummary> {
  const { config } = model;
  const metadata = new Map<string, Value>([
    ["general.architecture", { type: "string", value: architectureOf(config).name }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: name }],
    ["general.file_type", { type: "u32", value: FILE_TYPES[type] }],
    ["general.alignment", { type: "u32", value: ALIGNMENT }],
    ["general.quantization_version", { type: "u32", value: 2 }],
    ...architectureMetadata(config),
    ...(await vocabularyMetadata(tokenizer, config, fixtures)),
  ]);
  const parameters = model.namedParameters();
  const sources = new Map(
    [...parameters].map(([name, tensor]) => [ggufName(name, config), { name, tensor }]),
  );
  const infos = [...sources].map(([name, { tensor }]) => ({
    name,
    shape: tensor.shape,
    type: storedType(tensor, type),
  }));
  if (config.ropeScaling.type !== "default")
    infos.push({ name: ROPE_FACTORS, shape: [config.headDim / 2], type: "f32" });
  writeGguf(path, metadata, infos, (info) =>
    torch.tensorScope(() => {
      const source = sources.get(info.name);
      const tensor =
        source === undefined ? ropeFactors(config) : reorderRows(source.name, source.tensor, config);
      return encodeTensor(tensor.detach(), info.type, info.name);
    }),
  );
  const matrices = infos.filter(({ shape }) => shape.length === 2);
  return {
    sizeBytes: statSync(path).size,
    exceptions: matrices.filter((info) => info.type !== type).map(({ name, type }) => ({ name, type })),
  };
}

/** Norms and biases are few and stay in fp32; rows that do not divide into blocks stay in fp16. */
function storedType({ shape }: Tensor, type: TensorType): TensorInfo["type"] {
  if (shape.length === 1) return "f32";
  return type === "q8_0" && shape.at(-1)! % Q8_BLOCK !== 0 ? "f16" : type;
}

export function ropeFactors({ headDim, ropeTheta, ropeScaling }: ModelConfig): Tensor {
  const plain = ropeFrequencies(headDim, ropeTheta, { type: "default" });
  return plain.div(ropeFrequencies(headDim, ropeTheta, ropeScaling));
}
