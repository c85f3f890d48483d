/**
 * Adapter folders in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors` with tensors
 * `base_model.model.<projection>.lora_A.weight` and `.lora_B.weight`. What PEFT wrote is read; what is written here PEFT reads.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { z } from "zod";
import { ModelError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { SCORE_HEAD } from "../model/layer-layout.js";
import type { Nf4Settings } from "../nn/nf4-weight.js";
import { hubNameOf, modelFolder } from "../run/hub-names.js";
import { attachLora, type LoraAdapter, type LoraSettings, loraTargets } from "./lora.js";

const CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";
const PREFIX = "base_model.model.";

const ConfigFile = z.looseObject({
  peft_type: z.literal("LORA"),
  r: z.int().positive(),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.array(z.string().min(1)).min(1),
  use_rslora: z.boolean().default(false),
  modules_to_save: z.array(z.string()).nullish(),
  base_model_name_or_path: z.string().nullish(),
  /** PEFT's word for the revision of the base on the hub. */
  revision: z.string().nullish(),
  /** Ours: sha256 of the base's weights, see `model/weights-hash.ts`. */
  base_model_sha256: z.string().nullish(),
  /** Ours: the base was quantised so while the adapter was trained. Without it, the base's folder says what it is. */
  base_model_quantization: z
    .strictObject({ type: z.literal("nf4"), double_quant: z.boolean(), through_fp16: z.boolean() })
    .nullish(),
});

/** PEFT features that change the computation and are not supported: each must be off. */
const MUST_BE_OFF = [
  ...["use_dora", "use_qalora", "use_bdlora", "lora_bias", "fan_in_fan_out", "exclude_modules"],
  ...["rank_pattern", "alpha_pattern", "layers_to_transform", "layer_replication", "trainable_token_indices"],
  ...["target_parameters", "alora_invocation_tokens", "arrow_config", "velora_config", "kasa_config"],
];

/** What a classifier's adapter saves whole, in PEFT's words: the head. Our decoders call theirs `score`. */
const HEADS = ["score", "classifier"];

export interface AdapterConfig {
  settings: LoraSettings;
  /** Whether the head of a reward model goes along. */
  hasScoreHead: boolean;
  /** Folder or hub name of the model that the adapter is for. */
  baseModel: string | undefined;
  baseRevision: string | undefined;
  baseSha256: string | undefined;
  /** How the base has to be quantised when it is loaded: the adapter corrects those weights, not the original ones. */
  quantize: Nf4Settings | undefined;
}

/** What a fetched base is looked up by. */
export function hubNameWith(baseModel: string, revision: string | undefined): string {
  return revision === undefined || baseModel.includes("@") ? baseModel : `${baseModel}@${revision}`;
}

/** Whether a folder holds an adapter rather than a model. */
export function isAdapterFolder(folder: string): boolean {
  return existsSync(join(folder, CONFIG)) && !existsSync(join(folder, "config.json"));
}

/** @throws {ModelError} `ERR_ADAPTER_CONFIG`, `ERR_ADAPTER_FEATURE` */
export function readAdapterConfig(folder: string): AdapterConfig {
  const path = join(folder, CONFIG);
  const config = ConfigFile.safeParse(readJson(path));
  if (!config.success) {
    const { path: at, message } = config.error.issues[0]!;
    throw new ModelError("ERR_ADAPTER_CONFIG", `${at.join(".") || "the file"}: ${message}.`, {
      where: path,
      fix: "use a LoRA adapter whose target_modules is a list of names.",
    });
  }
  const on = MUST_BE_OFF.filter((key) => isOn(config.data[key]));
  const { modules_to_save: whole } = config.data;
  if (whole?.some((name) => !HEADS.includes(name))) on.push("modules_to_save");
  if (config.data.bias !== undefined && config.data.bias !== "none") on.push("bias");
  if (on.length > 0) {
    throw new ModelError(
      "ERR_ADAPTER_FEATURE",
      `the adapter uses ${on.join(", ")}, which is not supported.`,
      {
        where: path,
        fix: "merge it into its base with the program that made it, and use the merged model.",
      },
    );
  }
  const { r, lora_alpha, lora_dropout, target_modules, use_rslora } = config.data;
  const quantization = config.data.base_model_quantization;
  return {
    quantize: quantization
      ? { doubleQuant: quantization.double_quant, throughFp16: quantization.through_fp16 }
      : undefined,
    hasScoreHead: (whole?.length ?? 0) > 0,
    settings: {
      rank: r,
      alpha: lora_alpha,
      dropout: lora_dropout,
      targetModules: target_modules,
      rslora: use_rslora,
    },
    baseModel: config.data.base_model_name_or_path ?? undefined,
    baseRevision: config.data.revision ?? undefined,
    baseSha256: config.data.base_model_sha256 ?? undefined,
  };
}

/**
 * Puts a stored adapter on a model, in the model's dtype.
 * @param options `trainable` when it is to be trained further; `score`, [1, hidden], takes the head of a reward model's adapter
 * @throws {ModelError} `ERR_ADAPTER_WEIGHTS` naming the tensor when the adapter is for another model; `ERR_REWARD_HEAD` when it has a
 *   reward model's head and the model none, or the other way round
 */
export function loadAdapter(
  model: LanguageModel,
  folder: string,
  options: { trainable?: boolean; score?: Tensor } = {},
): LoraAdapter {
  const { settings, hasScoreHead } = readAdapterConfig(folder);
  checkHead(folder, hasScoreHead, options.score !== undefined);
  const path = join(folder, WEIGHTS);
  if (!existsSync(path)) {
    throw new ModelError("ERR_ADAPTER_WEIGHTS", "the adapter has no weights.", {
      where: path,
      fix: "get the adapter again; it needs adapter_config.json and adapter_model.safetensors.",
    });
  }
  using _ = torch.tensorScope();
  const { tensors } = torch.readSafetensors(path, { copy: true });
  const take = (name: string, shape: readonly number[]): Tensor => {
    const tensor = tensors.get(PREFIX + name);
    const found = tensor === undefined ? "is missing" : `has shape [${tensor.shape}] instead of [${shape}]`;
    if (tensor === undefined || tensor.shape.join() !== shape.join())
      throw misfit(path, `tensor "${PREFIX + name}" ${found}`);
    tensors.delete(PREFIX + name);
    const { device, dtype } = model;
    return tensor.to({ device, dtype });
  };
  const loaded = new Map(
    loraTargets(model, settings).map(({ name, inFeatures, outFeatures }) => {
      const a = take(`${name}.lora_A.weight`, [settings.rank, inFeatures]);
      const b = take(`${name}.lora_B.weight`, [outFeatures, settings.rank]);
      return [name, { a, b }];
    }),
  );
  if (options.score !== undefined)
    torch.noGrad(() => options.score!.copy_(take(SCORE_HEAD, options.score!.shape)));
  const [extra] = tensors.keys();
  if (extra !== undefined) throw misfit(path, `tensor "${extra}" belongs to no projection of the model`);
  return attachLora(model, settings, ({ name }) => {
    const { a, b } = loaded.get(name)!;
    for (const matrix of [a, b]) {
      _.keep(matrix);
      matrix.requiresGrad = options.trainable ?? false;
    }
    return { a, b };
  });
}

/**
 * Writes an adapter folder. The configuration comes last, so that a folder with one is complete.
 * @param base where the base model is; one that came from a hub is written by its name there, which holds on any machine
 * @param score the head of a reward model, saved whole
 */
export function saveAdapter(
  adapter: LoraAdapter,
  folder: string,
  base: { model?: string | undefined; sha256?: string | undefined; quantize?: Nf4Settings | null } = {},
  score?: Tensor,
): void {
  mkdirSync(folder, { recursive: true });
  const whole = score === undefined ? [] : [[SCORE_HEAD, score] as const];
  const saved = [...adapter.namedParameters(), ...whole];
  const tensors = saved.map(([name, tensor]) => [PREFIX + name, tensor] as const);
  torch.writeSafetensors(join(folder, WEIGHTS), tensors, { format: "pt" });
  const { rank, alpha, dropout, targetModules, rslora = false } = adapter.settings;
  const hub = base.model === undefined ? undefined : hubNameOf(modelFolder(base.model));
  const config = {
    base_model_name_or_path: hub?.id ?? base.model ?? null,
    ...(hub === undefined ? {} : { revision: hub.revision }),
    ...(base.sha256 === undefined ? {} : { base_model_sha256: base.sha256 }),
    ...(base.quantize ? { base_model_quantization: quantizationWords(base.quantize) } : {}),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: dropout,
    modules_to_save: score === undefined ? null : [HEADS[0]],
    peft_type: "LORA",
    r: rank,
    target_modules: [...targetModules],
    task_type: score === undefined ? "CAUSAL_LM" : "SEQ_CLS",
    use_dora: false,
    use_rslora: rslora,
  };
  writeFileSync(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
}

function quantizationWords({ doubleQuant, throughFp16 }: Nf4Settings) {
  return { type: "nf4", double_quant: doubleQuant, through_fp16: throughFp16 };
}

function checkHead(folder: string, has: boolean, wanted: boolean): void {
  if (has === wanted) return;
  throw new ModelError(
    "ERR_REWARD_HEAD",
    has
      ? "this adapter makes a reward model, which says no words."
      : "this adapter has no head that gives a score: it is a language model's.",
    {
      where: join(folder, CONFIG),
      fix: has
        ? "judge texts with it: `camelid score --model`."
        : "use a reward model, or train one on it: `camelid reward`.",
    },
  );
}

function misfit(path: string, what: string): ModelError {
  return new ModelError("ERR_ADAPTER_WEIGHTS", `the adapter is not for this model: ${what}.`, {
    where: path,
    fix: "use the base model that adapter_config.json names in base_model_name_or_path.",
  });
}

function isOn(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false;
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ModelError("ERR_ADAPTER_CONFIG", `cannot be read: ${(cause as Error).message}.`, {
      where: path,
      fix: "check the folder; an adapter has adapter_config.json and adapter_model.safetensors.",
      cause,
    });
  }
}
