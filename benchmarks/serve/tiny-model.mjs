// A model small enough that the server around it is what is measured: 2 layers of 64, a vocabulary of 384, a context of 512.
import { initModel, parseConfig, saveModel } from "../../packages/camelid/dist/index.js";
import { trainByteLevelBpe } from "../../packages/camelid/dist/tokenizer/bpe-trainer.js";
import { writeTokenizerFolder } from "../../packages/camelid/dist/tokenizer/write-tokenizer.js";
import * as torch from "../../packages/torch/dist/index.js";

const WORDS =
  "the a camel alpaca llama walks over hill water drinks slow red blue why what where who is are and then";

export async function makeTinyModel(folder) {
  const trained = trainByteLevelBpe([`${WORDS} `.repeat(4)], {
    vocabSize: 384,
    specialTokens: ["<unk>", "<s>", "</s>"],
  });
  await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>" });
  torch.manualSeed(0);
  const model = initModel(
    parseConfig({
      model_type: "llama",
      vocab_size: trained.vocab.size,
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: 512,
      bos_token_id: 1,
      eos_token_id: 2,
    }),
  );
  saveModel(model, folder);
  model[Symbol.dispose]();
  return folder;
}
