/** Holds a GGUF file, read by a reader of its own, against the model that it was made from. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../../errors.js";
import { Decoder } from "../../model/decoder.js";
import type { LanguageModel } from "../../model/language-model.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { checkFixtures, type FixtureResult, type ParityFixtures } from "../fixtures.js";
import { ggufName, reorderRows } from "./architecture.js";
import { decodeTensor } from "./encode.js";
import { ROPE_FACTORS, ropeFactors } from "./export.js";
import { Q8_BLOCK, type TensorType } from "./format.js";
import { type GgufFile, readGguf } from "./reader.js";

/** How far logits may move by the rounding of weights, as a share of the largest one. */
const TOLERANCE: Readonly<Record<TensorType, number>> = { f32: 1e-4, f16: 0.02, bf16: 0.1, q8_0: 0.1 };

/**
 * Reads every tensor back and compares it with the model's, number for number; then computes with what was read.
 * @param allowed what merging adapters may already have moved
 * @throws {ModelError} `ERR_EXPORT_WEIGHTS`, `ERR_EXPORT_TOKENS`, `ERR_EXPORT_LOGITS`
 */
export async function checkGguf(
  path: string,
  model: LanguageModel,
  tokenizer: Tokenizer,
  fixtures: ParityFixtures,
  { type, allowed }: { type: TensorType; allowed: number },
): Promise<FixtureResult> {
  const file = readGguf(path);
  checkTokens(file, tokenizer, path);
  const { config } = model;
  const weights = new Map<string, Tensor>();
  try {
    for (const [name, original] of model.namedParameters()) {
      const weight = torch.tensorScope(() => {
        const read = readTensor(file, ggufName(name, config), original.shape, path);
        const stored = file.tensors.get(ggufName(name, config))!.type;
        const back = reorderRows(name, read, config, true);
        compare(back, original.detach(), { name, type: stored, path });
        return back.to({ dtype: model.dtype }).clone();
      });
      weights.set(name, weight);
    }
    if (config.ropeScaling.type !== "default") checkRope(file, model, path);
    const expected = weights.size + (config.ropeScaling.type === "default" ? 0 : 1);
    if (file.tensors.size !== expected)
      throw differs(path, `it has ${file.tensors.size} tensors, not ${expected}`);
    const isExact = isWiderOrEqual(type, model.dtype);
    const limit = isExact ? allowed : Math.max(allowed, TOLERANCE[type]);
    using rebuilt = new Decoder(config, weights);
    weights.clear(); // they are the decoder's now
    return await checkFixtures(fixtures, rebuilt, tokenizer, limit);
  } finally {
    for (const tensor of weights.values()) tensor.dispose();
  }
}

function isWiderOrEqual(type: TensorType, dtype: string): boolean {
  if (type === "f32") return true;
  return (type === "bf16" && dtype === "bfloat16") || (type === "f16" && dtype === "float16");
}

function readTensor(file: GgufFile, name: string, shape: readonly number[], path: string): Tensor {
  const info = file.tensors.get(name);
  if (info === undefined || info.shape.join() !== shape.join())
    throw differs(path, `${name} has shape [${info?.shape}], not [${shape}]`);
  return decodeTensor(file.read(name), shape, info.type);
}

/** Rounded types must give what rounding the original gives; blocks must lie within half a step. */
function compare(read: Tensor, original: Tensor, at: { name: string; type: TensorType; path: string }): void {
  const { name, type, path } = at;
  if (type === "q8_0") {
    const wanted = original.to({ dtype: "float32" });
    const blocks = wanted.reshape([-1, Q8_BLOCK]).abs().amax([1], true);
    // Half a step, and what rounding the scale to fp16 moves 127 steps by; tiny scales are subnormal numbers.
    const limit = blocks.mul(0.57 / 127).add(127 * 2 ** -25);
    const beyond = read.sub(wanted).abs().reshape([-1, Q8_BLOCK]).sub(limit).amax().item();
    if (!(beyond <= 0)) throw differs(path, `${name} lies ${beyond} beyond half a step`);
    return;
  }
  const rounded = type === "f32" ? original : original.to({ dtype: type === "f16" ? "float16" : "bfloat16" });
  if (!rounded.to({ dtype: "float32" }).equal(read)) throw differs(path, `${name} has other values`);
}

function checkRope(file: GgufFile, model: LanguageModel, path: string): void {
  torch.tensorScope(() => {
    const wanted = ropeFactors(model.config);
    if (!readTensor(file, ROPE_FACTORS, wanted.shape, path).equal(wanted))
      throw differs(path, `${ROPE_FACTORS} has other values`);
  });
}

/** Every token of the tokenizer stands at its id. */
function checkTokens({ metadata }: GgufFile, tokenizer: Tokenizer, path: string): void {
  const tokens = metadata.get("tokenizer.ggml.tokens") as readonly string[];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.idToToken(id);
    if (token !== undefined && tokens[id] !== token)
      throw differs(path, `token ${id} is ${JSON.stringify(tokens[id])}, not ${JSON.stringify(token)}`);
  }
  if (metadata.get("tokenizer.ggml.eos_token_id") !== tokenizer.eosTokenId)
    throw differs(path, "it ends texts with another token");
}

function differs(path: string, what: string): ModelError {
  return new ModelError("ERR_EXPORT_WEIGHTS", `the exported file is not the model: ${what}.`, {
    where: path,
    fix: "this is a defect of the export; nothing was written.",
  });
}
