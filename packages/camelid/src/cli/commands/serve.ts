import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { SettingsError } from "../../errors.js";
import { createEngine } from "../../generate/engine.js";
import type { Engine } from "../../generate/requests.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import { parseHubName } from "../../run/hub-names.js";
import { startServer } from "../../serve/server.js";
import { knob } from "../../settings/knob.js";
import { knobs, quantizeKnobs } from "../../settings/knobs.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { type Machine, prepareMachine } from "../../train/machine.js";
import { fetchWithProgress } from "../fetch-models.js";
import { recipeCommand } from "../recipe-command.js";

const server = "Server";
const engine = "Engine";

const settings = z.strictObject({
  model: knobs.model,
  name: knob(z.string().min(1).nullable().default(null), {
    help: "What clients call the model; none takes the folder's name.",
    group: "Model and data",
    placeholder: "name",
    alsoKnownAs: ["served_model_name"],
  }),
  moreModels: knob(z.array(z.string().regex(/^[^=]+=.+$/)).default([]), {
    help: "More models or adapters beside it.",
    group: "Model and data",
    accepts: "name=folder, several with commas",
    placeholder: "name=folder",
  }),
  host: knob(z.string().min(1).default("127.0.0.1"), {
    help: "Address to listen on; any but loopback needs CAMELID_API_KEY in the environment.",
    group: server,
    placeholder: "address",
  }),
  port: knob(z.int().min(0).max(65535).default(8000), {
    help: "Port to listen on; 0 takes any free one.",
    group: server,
  }),
  allowOrigins: knob(z.array(z.string().min(1)).default([]), {
    help: "Pages of these origins may call the server from a browser.",
    group: server,
    accepts: "origins such as https://example.com, several with commas",
    placeholder: "origins",
  }),
  maxNewTokens: knobs.maxNewTokens.default(2048),
  maxRequests: knob(z.int().positive().default(256), {
    help: "Requests answered and waiting at the same time; one more gets status 429.",
    group: server,
  }),
  maxBodyBytes: knob(
    z
      .int()
      .positive()
      .default(4 * 2 ** 20),
    {
      help: "Largest request.",
      group: server,
      placeholder: "bytes",
    },
  ),
  requestSeconds: knob(z.number().positive().default(600), {
    help: "Longest time for one answer.",
    group: server,
  }),
  maxSequences: knob(z.int().positive().default(32), {
    help: "Texts written at the same time; others wait.",
    group: engine,
    alsoKnownAs: ["max_num_seqs"],
  }),
  kvCacheBytes: knob(z.int().positive().nullable().default(null), {
    help: "Most bytes for keys and values; none: 1 GiB, or one text of the model's whole context.",
    group: engine,
    placeholder: "bytes",
  }),
  precision: knobs.precision,
  quantize: quantizeKnobs.nullable().default(null),
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

type ServeSettings = z.output<typeof settings>;

const interruptText = "No new requests; those under way get up to 30 seconds.";

export function command(): Command {
  return recipeCommand("serve", { settings, presets: {}, run, interruptText }).description(
    "Serves models over HTTP in OpenAI's words: /v1/chat/completions, /v1/completions, /v1/models; /health and /metrics beside them. Ends at Ctrl+C, after the answers under way.",
  );
}

async function run(chosen: ServeSettings, { signal, output }: RecipeContext): Promise<RunOutcome> {
  const machine = prepareMachine(chosen);
  const say = (text: string): void => {
    if (output !== "silent") process.stdout.write(`${text}\n`);
  };
  await using engines = new Engines();
  for (const [name, folder] of await modelsOf(chosen, output)) {
    await engines.load(name, folder, machine, chosen);
    say(`loaded   ${name}  (${folder})`);
  }
  await using running = await startServer({
    ...chosen,
    engines: engines.byName,
    // From the environment only: a key among the settings would end up in shells' histories and in logs.
    key: process.env.CAMELID_API_KEY?.trim() || undefined,
    origins: chosen.allowOrigins,
    onRequest: ({ method, path, status, milliseconds }) =>
      say(`${new Date().toISOString()}  ${method} ${path}  ${status}  ${Math.round(milliseconds)} ms`),
  });
  say(`ready    ${running.url}/v1  (Ctrl+C ends it after the answers under way)`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await running.close();
  return "completed"; // to be stopped is how a server ends
}

/** A folder's own name; of a model of a hub its name there, without the commit that it was pinned to. */
function nameOf(model: string): string {
  return (existsSync(model) ? undefined : parseHubName(model)?.id) ?? basename(resolve(model));
}

/** Names and folders; what is named on a hub is fetched. */
async function modelsOf(chosen: ServeSettings, mode: RecipeContext["output"]): Promise<Map<string, string>> {
  const models = new Map([[chosen.name ?? nameOf(chosen.model), chosen.model]]);
  for (const pair of chosen.moreModels) {
    const at = pair.indexOf("=");
    const [name, folder] = [pair.slice(0, at), pair.slice(at + 1)];
    if (models.has(name)) {
      throw new SettingsError("ERR_SERVE_NAMES", `two models are called "${name}".`, {
        where: "name, moreModels",
        fix: "give each model a name of its own.",
      });
    }
    models.set(name, await fetchWithProgress(folder, { mode }));
  }
  return models;
}

/** Engines and the models they use, freed together. */
class Engines implements AsyncDisposable {
  readonly byName = new Map<string, Engine>();

  async load(name: string, folder: string, machine: Machine, chosen: ServeSettings): Promise<void> {
    const tokenizer = await loadTokenizer(folder);
    const { quantize } = chosen;
    const model = loadAdaptedModel(folder, { ...machine, quantize });
    checkVocabulary(tokenizer, model.config, folder);
    const { maxSequences, kvCacheBytes } = chosen;
    this.byName.set(
      name,
      createEngine(model, tokenizer, { maxSequences, ...(kvCacheBytes && { kvCacheBytes }) }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.byName.values()) {
      await engine[Symbol.asyncDispose]();
      engine.model[Symbol.dispose]();
    }
  }
}
