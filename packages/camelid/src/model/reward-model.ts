/**
 * A decoder with a scalar head: one number for a whole text, read at its last token. On disk it is what transformers calls
 * `<Family>ForSequenceClassification` with one label; checked against it in tests/parity/reward.test.ts.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../errors.js";
import type { PackedRows } from "../nn/packed-rows.js";
import { modelFolder } from "../run/hub-names.js";
import { openWeights } from "../weights/weight-index.js";
import { configFile, readConfig } from "./config.js";
import type { LanguageModel } from "./language-model.js";
import { SCORE_HEAD } from "./layer-layout.js";
import { type LoadOptions, loadModel } from "./load.js";
import { type Companions, saveWeights, writeJson } from "./save.js";

export class RewardModel implements Disposable {
  /** Without a language-model head: its `headWeight` is the embedding and means nothing. */
  readonly decoder: LanguageModel;
  /** [1, hidden] */
  readonly score: Tensor;
  /** What config.json said of the language model's head; written back. */
  readonly tieWordEmbeddings: boolean;

  /** @param score belongs to the model from now on */
  constructor(decoder: LanguageModel, score: Tensor, tieWordEmbeddings: boolean) {
    this.decoder = decoder;
    this.score = score.named(SCORE_HEAD);
    this.tieWordEmbeddings = tieWordEmbeddings;
  }

  get device(): Device {
    return this.decoder.device;
  }

  get dtype(): DType {
    return this.decoder.dtype;
  }

  /**
   * @param ends [texts] int64: place of each text's last token in the stretch
   * @returns [texts] fp32; differentiable
   */
  scores(rows: PackedRows, ends: Tensor): Tensor {
    const last = this.decoder.hiddenStates(rows).indexSelect(0, ends);
    return torch.linear(last, this.score).view([-1]).to({ dtype: "float32" });
  }

  namedParameters(): Map<string, Tensor> {
    return new Map([...this.decoder.namedParameters(), [SCORE_HEAD, this.score]]);
  }

  [Symbol.dispose](): void {
    this.decoder[Symbol.dispose]();
    this.score.dispose();
  }
}

/**
 * Loads a reward model, or a language model whose head is exchanged for a new one: normal with deviation 1 / sqrt(hidden + 1), as
 * Stiennon et al. 2020 begin (https://arxiv.org/abs/2009.01325), from `torch.manualSeed`.
 * @throws {ModelError} as `loadModel`; `ERR_REWARD_HEAD` when a classifier has another number of labels than one
 */
export function loadRewardModel(name: string, options: LoadOptions = {}): RewardModel {
  const folder = modelFolder(name);
  const decoder = loadModel(folder, { ...options, withoutHead: true });
  try {
    const { config } = readConfig(folder);
    const score = isRewardFolder(folder)
      ? storedHead(folder, config.hiddenSize)
      : torch.empty([1, config.hiddenSize]).normal_(0, 1 / Math.sqrt(config.hiddenSize + 1));
    const { device, dtype } = decoder;
    const placed = score.dtype === dtype && score.device === device ? score : score.to({ device, dtype });
    if (placed !== score) score.dispose();
    placed.requiresGrad = options.trainable ?? false;
    return new RewardModel(decoder, placed, config.tieWordEmbeddings);
  } catch (error) {
    decoder[Symbol.dispose]();
    throw error;
  }
}

/** Whether config.json says that the folder holds a decoder with a classifier's head. */
export function isRewardFolder(name: string): boolean {
  const { architectures } = readConfig(name).raw as { architectures?: unknown };
  return Array.isArray(architectures) && String(architectures[0]).endsWith(CLASSIFIER);
}

const CLASSIFIER = "ForSequenceClassification";

function storedHead(folder: string, hiddenSize: number): Tensor {
  const { entries } = openWeights(folder);
  const entry = entries.get(SCORE_HEAD);
  if (entry?.shape.join() === `1,${hiddenSize}`)
    return torch.fromBytes(entry.read(), entry.shape, entry.dtype);
  const found = entry === undefined ? "none" : `shape [${entry.shape}]`;
  throw new ModelError(
    "ERR_REWARD_HEAD",
    `a reward model's ${SCORE_HEAD} is [1, ${hiddenSize}]; there is ${found}.`,
    {
      where: folder,
      fix: "use a classifier with one label, or a language model, which gets a new head.",
    },
  );
}

export interface SaveRewardOptions {
  /** Tokenizer and chat template that go along. */
  tokenizer: Companions;
  /**
   * A token that never ends a text. transformers looks for a text's last token from the right, past padding: with the end token as
   * padding it would read the score one token too early. Left out, it takes texts one by one.
   */
  padTokenId: number | undefined;
}

/** Writes `config.json`, the weights in the model's dtype, and the tokenizer. The weights come last. */
export function saveRewardModel(model: RewardModel, folder: string, options: SaveRewardOptions): void {
  mkdirSync(folder, { recursive: true });
  const { decoder, tieWordEmbeddings } = model;
  const file = configFile({ ...decoder.config, tieWordEmbeddings, dtype: decoder.dtype });
  const architecture = String((file.architectures as string[])[0]);
  writeJson(join(folder, "config.json"), {
    ...file,
    architectures: [architecture.replace("ForCausalLM", CLASSIFIER)],
    id2label: { 0: "LABEL_0" },
    label2id: { LABEL_0: 0 },
    pad_token_id: options.padTokenId ?? null,
  });
  for (const [name, bytes] of options.tokenizer) writeFileSync(join(folder, name), bytes);
  saveWeights(model.namedParameters(), folder);
}
