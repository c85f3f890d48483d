/** The model or endpoint of a command line, opened. */
import { createHash } from "node:crypto";
import { isAdapterFolder } from "../../adapters/adapter-file.js";
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { SettingsError } from "../../errors.js";
import { endpointBackend } from "../../eval/backends/endpoint.js";
import { promptRenderer, tokenTools } from "../../eval/backends/render.js";
import { engineModel } from "../../eval/engine-model.js";
import type { EvaluatedModel } from "../../eval/evaluate.js";
import { folderIdentity } from "../../eval/folder-identity.js";
import { createEngine } from "../../generate/engine.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import { weightsHash } from "../../model/weights-hash.js";
import { modelFolder } from "../../run/hub-names.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import type { EvalSettings } from "./settings.js";

/** Disposing it frees the model. */
export interface OpenEvaluated extends AsyncDisposable {
  readonly model: EvaluatedModel;
}

/** `settings` name a model or an endpoint. */
export async function openEvaluated(settings: EvalSettings): Promise<OpenEvaluated> {
  if (settings.endpoint !== null) {
    return { model: await openEndpoint(settings, settings.endpoint), async [Symbol.asyncDispose]() {} };
  }
  return openModel(settings, settings.model!);
}

async function openModel(settings: EvalSettings, name: string): Promise<OpenEvaluated> {
  const machine = prepareMachine(settings);
  const tokenizer = await loadTokenizer(name);
  const { quantize } = settings;
  const model = loadAdaptedModel(name, { ...machine, quantize });
  checkVocabulary(tokenizer, model.config, name);
  const engine = createEngine(model, tokenizer, {
    maxSequences: settings.batchSize,
    ...(settings.kvCacheBytes === null ? {} : { kvCacheBytes: settings.kvCacheBytes }),
  });
  const folder = modelFolder(name);
  const hash = createHash("sha256").update(folderIdentity(folder));
  if (isAdapterFolder(folder)) hash.update(weightsHash(model.namedParameters()));
  hash.update(`${machine.dtype} ${machine.device.split(":")[0]}`);
  if (quantize !== null) hash.update(JSON.stringify(quantize));
  const evaluated = engineModel({
    engine,
    name,
    identity: hash.digest("hex"),
    profile: settings.profile,
    ...(settings.chat === "auto" ? {} : { chat: settings.chat === "yes" }),
  });
  return {
    model: evaluated,
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      model[Symbol.dispose]();
    },
  };
}

async function openEndpoint(settings: EvalSettings, endpoint: string): Promise<EvaluatedModel> {
  const { endpointModel, endpointApi, profile, contextLength } = settings;
  if (endpointModel === null) {
    throw new SettingsError("ERR_MISSING_VALUE", "an endpoint needs the name of a model.", {
      where: "--endpoint-model",
      fix: "name one; GET <endpoint>/models lists them.",
    });
  }
  if (endpointApi === "completions" && settings.tokenizer === null) {
    throw new SettingsError("ERR_MISSING_VALUE", "the completions API needs the model's tokenizer.", {
      where: "--tokenizer",
      fix: "name the model's folder, or org/name on the hub: only its tokenizer and template are read.",
    });
  }
  const tokenizer = settings.tokenizer === null ? undefined : await loadTokenizer(settings.tokenizer);
  const apiKey = process.env[settings.apiKeyEnv];
  const backend = endpointBackend({
    endpoint,
    model: endpointModel,
    api: endpointApi,
    prefix: settings.endpointPrefix,
    profile,
    contextLength,
    concurrency: settings.concurrency,
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(settings.price === null ? {} : { price: settings.price }),
  });
  const chatByItself = endpointApi === "chat" || tokenizer?.chatTemplate !== undefined;
  return {
    backend,
    chat: settings.chat === "auto" ? chatByItself : settings.chat === "yes",
    ...(tokenizer === undefined
      ? {}
      : { tokens: tokenTools(tokenizer, promptRenderer(tokenizer, profile), contextLength) }),
  };
}
