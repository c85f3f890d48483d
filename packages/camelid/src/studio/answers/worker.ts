/**
 * The process that computes answers, so that the server stays quick while a model thinks, and a model that does not fit ends
 * this process and not the Studio. The two models asked last stay loaded: an arena needs two.
 */
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { renderPrompt } from "../../data/render.js";
import { createEngine } from "../../generate/engine.js";
import type { Engine } from "../../generate/requests.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import { errorBody } from "../failures.js";
import type { AnswerJob, FromWorker, ToWorker } from "./messages.js";

const MOST_MODELS = 2;
const KV_CACHE_BYTES = 512 << 20;

const loaded = new Map<string, Promise<Engine>>();
const users = new Map<string, number>();
const cancels = new Map<number, AbortController>();
const machine = prepareMachine({ device: "auto", threads: threads(), seed: 0, precision: precision() });

process.on("message", (message: ToWorker) => {
  if (message.kind === "cancel") cancels.get(message.id)?.abort();
  else void answer(message.job);
});
// The Studio is gone: so is who wanted an answer.
process.on("disconnect", () => process.exit(0));

async function answer(job: AnswerJob): Promise<void> {
  const { id, folder, tokenizer, maxNewTokens, temperature, topP, seed } = job;
  const say = (piece: FromWorker["piece"]) => process.send?.({ id, piece } satisfies FromWorker);
  const cancel = new AbortController();
  cancels.set(id, cancel);
  const started = performance.now();
  try {
    if (!loaded.has(folder)) say({ kind: "loading" });
    users.set(folder, (users.get(folder) ?? 0) + 1);
    const engine = await engineOf(folder, tokenizer);
    const loadMs = performance.now() - started;
    const promptIds = await renderPrompt(job.messages, engine.tokenizer);
    const decoding = { temperature, seed, ...(topP < 1 ? { topP } : {}) };
    let finishReason = "stop";
    let tokens = 0;
    for await (const delta of engine.stream(
      { promptIds, maxNewTokens, ...decoding },
      { signal: cancel.signal },
    )) {
      tokens += delta.outputIds.length;
      if (delta.text !== "") say({ kind: "text", text: delta.text });
      if (delta.finishReason !== undefined) finishReason = delta.finishReason;
    }
    say({ kind: "done", finishReason, tokens, ms: performance.now() - started - loadMs, loadMs });
  } catch (error) {
    say({ kind: "error", error: errorBody(error) });
  } finally {
    users.set(folder, (users.get(folder) ?? 1) - 1);
    cancels.delete(id);
  }
}

async function engineOf(folder: string, tokenizer: string): Promise<Engine> {
  const there = loaded.get(folder);
  if (there !== undefined) {
    loaded.delete(folder);
    loaded.set(folder, there);
    return await there;
  }
  await makeRoom();
  const loading = load(folder, tokenizer);
  loaded.set(folder, loading);
  loading.catch(() => loaded.delete(folder));
  return await loading;
}

async function load(folder: string, tokenizerFolder: string): Promise<Engine> {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const model = loadAdaptedModel(folder, machine);
  checkVocabulary(tokenizer, model.config, folder);
  return createEngine(model, tokenizer, { kvCacheBytes: KV_CACHE_BYTES, maxSequences: 8 });
}

/** The models that nobody asked for longest go first; one that is speaking stays. */
async function makeRoom(): Promise<void> {
  for (const [folder, engine] of [...loaded]) {
    if (loaded.size < MOST_MODELS) return;
    if ((users.get(folder) ?? 0) > 0) continue;
    loaded.delete(folder);
    const { model, [Symbol.asyncDispose]: _ } = await engine;
    await (await engine)[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  }
}

function threads(): number | null {
  const wanted = Number(process.env.CAMELID_STUDIO_THREADS);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : null;
}

function precision(): "fp32" | "bf16" {
  return process.env.CAMELID_STUDIO_PRECISION === "bf16" ? "bf16" : "fp32";
}
