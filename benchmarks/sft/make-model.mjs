// A random Llama and a tokenizer trained from the benchmark's own rows: what every contestant loads.

import { initModel, loadTokenizer, parseConfig, saveModel } from "../../packages/camelid/dist/index.js";
import { trainByteLevelBpe } from "../../packages/camelid/dist/tokenizer/bpe-trainer.js";
import { writeTokenizerFolder } from "../../packages/camelid/dist/tokenizer/write-tokenizer.js";
import * as torch from "../../packages/torch/dist/index.js";

export async function makeModel(folder, jsonl, { hidden, intermediate, layers, heads }) {
  const rows = jsonl
    .trim()
    .split("\n")
    .slice(0, 10_000)
    .map((line) => JSON.parse(line));
  const vocabSize = hidden === 512 ? 16_000 : 32_000;
  const trained = trainByteLevelBpe(
    rows.flatMap((row) => row.messages.map((message) => message.content)),
    { vocabSize, specialTokens: ["<unk>", "<s>", "</s>"] },
  );
  await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>" });
  await loadTokenizer(folder);
  torch.manualSeed(0);
  const model = initModel(
    parseConfig({
      model_type: "llama",
      vocab_size: vocabSize,
      hidden_size: hidden,
      intermediate_size: intermediate,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
      bos_token_id: 1,
      eos_token_id: 2,
    }),
    { dtype: "bfloat16" },
  );
  saveModel(model, folder);
  model[Symbol.dispose]();
  return folder;
}
