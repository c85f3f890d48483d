// Models of real shapes with random weights, made on the device: billions of random numbers take minutes on a CPU.
import { parseConfig } from "../../packages/camelid/dist/model/config.js";
import { Decoder } from "../../packages/camelid/dist/model/decoder.js";
import { weightShapes } from "../../packages/camelid/dist/model/layer-layout.js";
import * as torch from "../../packages/torch/dist/index.js";

/** hidden, intermediate, layers, heads, key-value heads, vocabulary; whether blocks are recomputed */
const SHAPES = {
  tiny: [128, 256, 2, 4, 2, 1000, false],
  "1b": [2048, 8192, 16, 32, 8, 128_256, false],
  "7b": [4096, 11_008, 32, 32, 32, 32_000, true],
};
/** Whether training it computes blocks again. */
export const isRecomputed = (size) => SHAPES[size][6];

/** In bf16. */
export function randomModel(size, device) {
  const [hidden, intermediate, layers, heads, kvHeads, vocabulary] = SHAPES[size];
  const config = parseConfig({
    ...{ model_type: "llama", vocab_size: vocabulary, hidden_size: hidden, intermediate_size: intermediate },
    ...{ num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: kvHeads },
    ...{ max_position_embeddings: 8192, rms_norm_eps: 1e-5 },
  });
  torch.manualSeed(0);
  const weights = new Map();
  for (const [name, shape] of weightShapes(config)) {
    const weight = torch.empty(shape, { dtype: "bfloat16", device });
    weights.set(name, shape.length === 1 ? weight.fill_(1) : weight.normal_(0, 0.02));
  }
  return new Decoder(config, weights);
}
