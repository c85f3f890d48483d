import { ModelError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ModelConfig } from "./model-config.js";

/**
 * Every id of the tokenizer must have a row in the embedding; the embedding may be larger (padded).
 * @throws {ModelError} ERR_VOCABULARY
 */
export function checkVocabulary(
  tokenizer: Pick<Tokenizer, "vocabSize">,
  config: ModelConfig,
  where: string,
): void {
  if (tokenizer.vocabSize <= config.vocabSize) return;
  throw new ModelError(
    "ERR_VOCABULARY",
    `the tokenizer knows ${tokenizer.vocabSize} ids, the embedding has only ${config.vocabSize} rows.`,
    { where, fix: "use the tokenizer that belongs to the model." },
  );
}
