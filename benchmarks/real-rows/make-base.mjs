// make-base.mjs ROWS FOLDER: a tokenizer trained from the rows and a random Llama of 23 million parameters.
import { readFileSync } from "node:fs";
import { initModel, parseConfig, saveModel } from "../../packages/camelid/dist/index.js";
import { trainByteLevelBpe } from "../../packages/camelid/dist/tokenizer/bpe-trainer.js";
import { writeTokenizerFolder } from "../../packages/camelid/dist/tokenizer/write-tokenizer.js";
import * as torch from "../../packages/torch/dist/index.js";

const [rows, folder] = process.argv.slice(2);
const texts = readFileSync(rows, "utf8")
  .trim()
  .split("\n")
  .flatMap((line) => JSON.parse(line).messages.map((message) => message.content));
const trained = trainByteLevelBpe(texts, { vocabSize: 8000, specialTokens: ["<s>", "</s>"] });
await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>" });
torch.manualSeed(1);
const model = initModel(
  parseConfig({
    model_type: "llama",
    vocab_size: 8000,
    hidden_size: 448,
    intermediate_size: 1216,
    num_hidden_layers: 8,
    num_attention_heads: 7,
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    bos_token_id: 0,
    eos_token_id: 1,
  }),
  { dtype: "float32" },
);
saveModel(model, folder);
const parameters = [...model.namedParameters().values()].reduce((sum, tensor) => sum + tensor.numel, 0);
console.log(`${folder}: ${parameters.toLocaleString("en")} parameters, ${trained.vocab.size} tokens`);
