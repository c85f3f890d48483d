/** What can be wrong with a model, and with a model and rows together, before anything is trained. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { hold } from "../../parallel/sharded-blocks.js";
import type { Check } from "../../run/checks.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";

/** Every id, of the tokenizer and of the rows, has a row in the embedding. */
export function vocabularyCheck(
  { vocabSize }: Pick<Tokenizer, "vocabSize">,
  embeddingRows: number,
  rows: readonly { readonly inputIds: Int32Array }[],
): Check {
  const name = "vocabulary";
  const highest = rows.reduce((most, { inputIds }) => inputIds.reduce((a, b) => Math.max(a, b), most), -1);
  const ids = Math.max(vocabSize, highest + 1);
  const detail = `${ids} ids, ${embeddingRows} rows in the embedding`;
  if (ids > embeddingRows)
    return { name, status: "fail", detail, fix: "use the tokenizer that belongs to the model." };
  // Embeddings are padded to a multiple of some power of two; a few hundred reserved ids are usual as well.
  if (embeddingRows - ids > 1024 + 0.02 * embeddingRows) {
    const fix =
      "check that this is the model's own tokenizer: many rows of the embedding can never be reached.";
    return { name, status: "warn", detail, fix };
  }
  return { name, status: "ok", detail };
}

/** All weights are finite; a tensor of zeros is what a save that broke off leaves behind. */
export function weightsCheck(parameters: ReadonlyMap<string, Tensor>): Check {
  const name = "weights";
  const broken: string[] = [];
  const zero: string[] = [];
  for (const [key, parameter] of parameters) {
    using _ = torch.tensorScope();
    hold(parameter);
    const largest = torch.noGrad(() => parameter.detach().abs().amax().to({ dtype: "float32" }).item());
    if (!Number.isFinite(largest)) broken.push(key);
    else if (largest === 0) zero.push(key);
  }
  if (broken.length > 0) {
    const detail = `${broken.length} of ${parameters.size} tensors hold NaN or infinity: ${excerpt(broken)}`;
    return { name, status: "fail", detail, fix: "fetch or save the model again." };
  }
  if (zero.length > 0) {
    const detail = `${zero.length} of ${parameters.size} tensors are all zeros: ${excerpt(zero)}`;
    const fix = "fine for fresh adapters; otherwise the model was not saved completely.";
    return { name, status: "warn", detail, fix };
  }
  return { name, status: "ok", detail: `${parameters.size} tensors, all finite` };
}

/** A model worse than guessing by this much (nats) got something wrong: tokenizer, weights, template. */
const WORSE_THAN_GUESSING = 0.5;
/** Loss this close to ln(vocabulary), as a share of it, is what random weights give. */
const LIKE_GUESSING = 0.03;

/**
 * The loss before training. A trained model is well below ln(vocabulary), the loss of guessing; one with random weights is
 * at it; far above it, something is broken.
 * @param loss nats per trained token
 */
export function initialLossCheck(loss: number, vocabSize: number, trainedTokens: number): Check {
  const name = "initial loss";
  const guessing = Math.log(vocabSize);
  const detail = `${loss.toFixed(2)} nats a token on ${trainedTokens} tokens; guessing gives ${guessing.toFixed(2)}`;
  if (!Number.isFinite(loss)) {
    const fix = "look at the weights line; if they are finite, try precision fp32 or bf16 instead of fp16.";
    return { name, status: "fail", detail: `the loss is ${loss}`, fix };
  }
  if (loss > 2 * guessing) {
    const fix =
      "the weights do not fit this tokenizer, template or config.json; `preflight: false` trains anyway.";
    return { name, status: "fail", detail, fix };
  }
  if (loss > guessing + WORSE_THAN_GUESSING) {
    const fix = "worse than guessing: check that tokenizer, weights and config.json belong together.";
    return { name, status: "warn", detail, fix };
  }
  if (Math.abs(loss - guessing) < LIKE_GUESSING * guessing) {
    const fix = "right for a model made from scratch; a trained one would do better.";
    return { name, status: "warn", detail: `${detail}: the weights seem random`, fix };
  }
  return { name, status: "ok", detail };
}

const excerpt = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")}, ...`;
