// camelid-generate.mjs MODEL PROMPTS DTYPE KV_BYTES: all prompts through the engine, timed.
import { readFileSync } from "node:fs";
import { createEngine, loadModel, loadTokenizer } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "../sft/peak.mjs";

const [folder, file, dtype, kvCacheBytes] = process.argv.slice(2);
const newTokens = Number(process.env.BENCH_NEW_TOKENS);
torch.setNumThreads(Number(process.env.BENCH_THREADS));
const { prompts } = JSON.parse(readFileSync(file, "utf8"));
const model = loadModel(folder, { dtype });
const tokenizer = await loadTokenizer(folder);
const request = (promptIds, maxNewTokens) => ({ promptIds, maxNewTokens, stopTokenIds: [] });

// An engine of its own for the first call: nothing of it is to be found in the cache of the timed one.
const settings = { kvCacheBytes: Number(kvCacheBytes), maxSequences: 32 };
const warm = createEngine(model, tokenizer, settings);
await warm.generate(prompts.map((ids) => request(ids, 2)));
await warm[Symbol.asyncDispose]();

const engine = createEngine(model, tokenizer, settings);
const started = performance.now();
const results = await engine.generate(prompts.map((ids) => request(ids, newTokens)));
const seconds = (performance.now() - started) / 1000;
const outputs = results.map(([{ outputIds }]) => [...outputIds]);
const { kvPeakBytes, steps } = engine.stats();
if (kvPeakBytes > settings.kvCacheBytes) throw new Error("keys and values exceeded their budget");
console.log(
  JSON.stringify({
    perSecond: outputs.flat().length / seconds,
    peakBytes: peakBytes(),
    kvPeakBytes,
    steps,
    outputs,
  }),
);
await engine[Symbol.asyncDispose]();
