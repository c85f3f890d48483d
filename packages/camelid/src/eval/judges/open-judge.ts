/**
 * Opens who answers a task's role: an OpenAI-compatible endpoint, a model folder of ours, or nobody (dry run). Verdicts are kept by the
 * runner, in `answers/<task>.<role>.jsonl`, under (judge, prompt, decoding): a judge is asked once for each of them.
 */
import { SettingsError } from "../../errors.js";
import { createEngine } from "../../generate/engine.js";
import { loadModel } from "../../model/load.js";
import { modelFolder } from "../../run/hub-names.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import type { Backend } from "../backend.js";
import { endpointBackend } from "../backends/endpoint.js";
import { engineBackend } from "../backends/engine.js";
import { folderIdentity } from "../folder-identity.js";
import type { RoleSettings } from "../task.js";
import { dryRunJudge } from "./dry-run-judge.js";
import { listPrice } from "./prices.js";

/** A judge writes a page at most; one that needs longer has stopped answering. */
const TIMEOUT_MS = 120_000;

/** @throws {SettingsError} ERR_EVAL_JUDGE when nobody is named, or a key is missing */
export async function openJudge(settings: RoleSettings): Promise<Backend> {
  const { role, endpoint, model, concurrency } = settings;
  if (settings.dryRun) return dryRunJudge(settings);
  if (endpoint !== undefined) {
    if (model === undefined) throw nobody(role, `the endpoint ${endpoint} needs the name of a model`);
    const price = settings.price ?? listPrice(model);
    const apiKey = keyOf(settings);
    return endpointBackend({
      endpoint,
      model,
      concurrency,
      timeoutMs: TIMEOUT_MS,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(price === undefined ? {} : { price }),
    });
  }
  if (model === undefined) throw nobody(role, "nobody is named to answer it");
  return openFolder(model);
}

/** A model folder answers by our own engine, in the weights' own precision. */
async function openFolder(name: string): Promise<Backend> {
  const tokenizer = await loadTokenizer(name);
  const model = loadModel(name);
  const engine = createEngine(model, tokenizer, {});
  const identity = folderIdentity(modelFolder(name));
  const backend = engineBackend({ engine, name, identity, profile: "standard" });
  return {
    ...backend,
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      model[Symbol.dispose]();
    },
  };
}

function keyOf({ role, apiKeyEnv }: RoleSettings): string | undefined {
  if (apiKeyEnv === undefined) return process.env.OPENAI_API_KEY;
  const key = process.env[apiKeyEnv];
  if (key !== undefined && key !== "") return key;
  throw nobody(role, `the environment variable ${apiKeyEnv} with its key is not set`);
}

function nobody(role: string, why: string): SettingsError {
  return new SettingsError("ERR_EVAL_JUDGE", `the role "${role}" cannot be filled: ${why}.`, {
    where: "--judges",
    fix: `name an endpoint, --judges ${role}=https://api.openai.com/v1#gpt-4-0613#OPENAI_API_KEY, or a model folder, --judges ${role}=FOLDER.`,
  });
}
