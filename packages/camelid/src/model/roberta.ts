/**
 * RoBERTa with a classification head (`RobertaForSequenceClassification`): an encoder that reads a text at once and says
 * which class it belongs to. Inference only; ToxiGen's classifier has this form.
 * @see Liu et al. 2019, https://arxiv.org/abs/1907.11692
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { z } from "zod";
import { ModelError } from "../errors.js";
import { openWeights } from "../weights/weight-index.js";

const RobertaConfig = z.object({
  model_type: z.literal("roberta"),
  hidden_size: z.int().positive(),
  num_attention_heads: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  intermediate_size: z.int().positive(),
  max_position_embeddings: z.int().positive(),
  vocab_size: z.int().positive(),
  layer_norm_eps: z.number().positive().default(1e-5),
  pad_token_id: z.int().min(0).default(1),
  bos_token_id: z.int().min(0).default(0),
  eos_token_id: z.int().min(0).default(2),
  hidden_act: z.literal("gelu").default("gelu"),
  position_embedding_type: z.literal("absolute").nullish(),
});
type RobertaConfig = z.output<typeof RobertaConfig>;

export interface RobertaClassifier extends Disposable {
  readonly numLabels: number;
  /** Tokens a text may have, `<s>` and `</s>` included. */
  readonly maxTokens: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  /**
   * @param rows token ids with `<s>` first and `</s>` last, at most `maxTokens`
   * @returns per row the classes' logits
   */
  logits(rows: readonly ArrayLike<number>[]): number[][];
}

/** @throws {ModelError} when folder, config or weights are not those of a RoBERTa classifier */
export function loadRobertaClassifier(
  folder: string,
  { device = "cpu", dtype = "float32" }: { device?: Device; dtype?: DType } = {},
): RobertaClassifier {
  const config = readRobertaConfig(folder);
  const found = openWeights(folder);
  const weights = new Map<string, Tensor>();
  for (const name of weightNames(config)) {
    const entry = found.entries.get(name);
    if (entry === undefined) throw notOne(folder, `the weights lack "${name}"`);
    using read = torch.fromBytes(entry.read(), entry.shape, entry.dtype);
    weights.set(
      name,
      read.dtype === dtype && read.device === device ? read.clone() : read.to({ dtype, device }),
    );
  }
  return new Roberta(config, weights, device);
}

function readRobertaConfig(folder: string): RobertaConfig {
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  } catch (cause) {
    throw notOne(folder, `config.json cannot be read (${(cause as Error).message})`, cause);
  }
  const config = RobertaConfig.safeParse(raw);
  if (!config.success) throw notOne(folder, z.prettifyError(config.error));
  return config.data;
}

function notOne(where: string, why: string, cause?: unknown): ModelError {
  return new ModelError("ERR_ROBERTA", `the folder holds no RoBERTa classifier: ${why}.`, {
    where,
    fix: "give a folder with config.json (model_type roberta), tokenizer files and weights, such as tomh/toxigen_roberta.",
    cause,
  });
}

const EMBEDDINGS = "roberta.embeddings";
const WITH_BIAS = [
  "attention.self.query",
  "attention.self.key",
  "attention.self.value",
  "attention.output.dense",
  "attention.output.LayerNorm",
  "intermediate.dense",
  "output.dense",
  "output.LayerNorm",
];

function weightNames({ num_hidden_layers }: RobertaConfig): string[] {
  const layers = Array.from({ length: num_hidden_layers }, (_, n) =>
    WITH_BIAS.map((name) => `roberta.encoder.layer.${n}.${name}`),
  ).flat();
  const both = [`${EMBEDDINGS}.LayerNorm`, ...layers, "classifier.dense", "classifier.out_proj"];
  const tables = ["word_embeddings", "position_embeddings", "token_type_embeddings"];
  return [
    ...tables.map((name) => `${EMBEDDINGS}.${name}.weight`),
    ...both.flatMap((name) => [`${name}.weight`, `${name}.bias`]),
  ];
}

class Roberta implements RobertaClassifier {
  readonly numLabels: number;
  readonly maxTokens: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;

  constructor(
    readonly config: RobertaConfig,
    readonly weights: ReadonlyMap<string, Tensor>,
    readonly device: Device,
  ) {
    this.numLabels = this.#weight("classifier.out_proj.weight").shape[0]!;
    // Positions are counted from behind the padding id: 514 embeddings serve 512 tokens.
    this.maxTokens = config.max_position_embeddings - config.pad_token_id - 1;
    this.bosTokenId = config.bos_token_id;
    this.eosTokenId = config.eos_token_id;
  }

  logits(rows: readonly ArrayLike<number>[]): number[][] {
    return torch.noGrad(() => {
      using _ = torch.tensorScope();
      const lengths = rows.map((row) => row.length);
      let hidden = this.#embed(rows, lengths);
      for (let n = 0; n < this.config.num_hidden_layers; n++) {
        hidden = this.#layer(`roberta.encoder.layer.${n}`, hidden, lengths);
      }
      const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0));
      const first = hidden.indexSelect(
        0,
        torch.tensor(BigInt64Array.from(starts, BigInt), { device: this.device }),
      );
      const logits = this.#linear("classifier.out_proj", this.#linear("classifier.dense", first).tanh());
      const flat = logits.to({ dtype: "float32", device: "cpu" }).toTypedArray() as Float32Array;
      return rows.map((_, i) => Array.from(flat.subarray(i * this.numLabels, (i + 1) * this.numLabels)));
    });
  }

  [Symbol.dispose](): void {
    for (const tensor of this.weights.values()) tensor.dispose();
  }

  /** Rows lie end to end, [tokens, hidden]. */
  #embed(rows: readonly ArrayLike<number>[], lengths: readonly number[]): Tensor {
    const { pad_token_id } = this.config;
    const ids = rows.flatMap((row) => Array.from(row, BigInt));
    const places = lengths.flatMap((length) =>
      Array.from({ length }, (_, i) => BigInt(pad_token_id + 1 + i)),
    );
    const table = (name: string, at: readonly bigint[]) =>
      torch.embedding(
        this.#weight(`${EMBEDDINGS}.${name}.weight`),
        torch.tensor(BigInt64Array.from(at), { device: this.device }),
      );
    const types = table(
      "token_type_embeddings",
      ids.map(() => 0n),
    );
    const sum = table("word_embeddings", ids).add(types).add(table("position_embeddings", places));
    return this.#norm(`${EMBEDDINGS}.LayerNorm`, sum);
  }

  /** Norms come behind the residual sums. */
  #layer(name: string, hidden: Tensor, lengths: readonly number[]): Tensor {
    const attended = this.#linear(`${name}.attention.output.dense`, this.#attention(name, hidden, lengths));
    const middle = this.#norm(`${name}.attention.output.LayerNorm`, attended.add(hidden));
    const wide = torch.gelu(this.#linear(`${name}.intermediate.dense`, middle));
    return this.#norm(`${name}.output.LayerNorm`, this.#linear(`${name}.output.dense`, wide).add(middle));
  }

  /** Every token of a row sees every other one; rows do not see each other. */
  #attention(name: string, hidden: Tensor, lengths: readonly number[]): Tensor {
    const { num_attention_heads: heads, hidden_size } = this.config;
    const [q, k, v] = ["query", "key", "value"].map((which) =>
      this.#linear(`${name}.attention.self.${which}`, hidden).view([-1, heads, hidden_size / heads]),
    ) as [Tensor, Tensor, Tensor];
    let start = 0;
    const parts = lengths.map((length) => {
      // [length, heads, headDim] -> [1, heads, length, headDim]
      const [rq, rk, rv] = [q, k, v].map((x) => x.narrow(0, start, length).transpose(0, 1).unsqueeze(0)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      start += length;
      return torch
        .scaledDotProductAttention(rq, rk, rv)
        .squeeze(0)
        .transpose(0, 1)
        .reshape([length, hidden_size]);
    });
    return parts.length === 1 ? parts[0]! : torch.cat(parts);
  }

  #norm(name: string, x: Tensor): Tensor {
    const { hidden_size, layer_norm_eps } = this.config;
    return torch.layerNorm(
      x,
      [hidden_size],
      this.#weight(`${name}.weight`),
      this.#weight(`${name}.bias`),
      layer_norm_eps,
    );
  }

  #linear(name: string, x: Tensor): Tensor {
    return torch.linear(x, this.#weight(`${name}.weight`), this.#weight(`${name}.bias`));
  }

  #weight(name: string): Tensor {
    return this.weights.get(name)!;
  }
}
