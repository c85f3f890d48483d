// decode.mjs [--device cuda:0] [--sizes "1b 7b"] [--out F]: tokens written a second, from graphs and operator by operator, beside what reading the
// weights once for each step would take.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createEngine } from "../../packages/camelid/dist/generate/engine.js";
import * as torch from "../../packages/torch/dist/index.js";
import { randomModel } from "./random-model.mjs";

const { values } = parseArgs({
  options: {
    ...{ device: { type: "string", default: "cuda:0" }, sizes: { type: "string", default: "1b 7b" } },
    ...{ batches: { type: "string", default: "1 8 32" }, out: { type: "string" } },
  },
});
const { device } = values;
const [PROMPT, SHORT, LONG] = device === "cpu" ? [20, 8, 24] : [128, 32, 160];
const tokenizer = { decode: (ids) => ids.map((id) => `<${id}>`).join("") };

/** Bytes a second read and written by a copy of a large tensor, the best of several. */
function bandwidth() {
  return torch.tensorScope(() => {
    const from = torch.zeros([(device === "cpu" ? 2 ** 25 : 2 ** 30) / 4], { device });
    const to = torch.emptyLike(from);
    let best = 0;
    for (let round = 0; round < 8; round++) {
      const started = performance.now();
      to.copy_(from);
      torch.synchronize(device);
      best = Math.max(best, (2 * from.sizeBytes * 1000) / (performance.now() - started));
    }
    return best;
  });
}

async function measure(model, size, batch, decodeMode) {
  const { numHiddenLayers, numKeyValueHeads, headDim, vocabSize } = model.config;
  const tokenBytes = numHiddenLayers * 2 * numKeyValueHeads * headDim * torch.elementSize(model.dtype);
  const kvCacheBytes = Math.ceil(1.2 * batch * (PROMPT + LONG + 32) * tokenBytes);
  const engine = createEngine(model, tokenizer, { decodeMode, kvCacheBytes, maxSequences: batch });
  const ask = async (maxNewTokens) => {
    const requests = Array.from({ length: batch }, (_, i) => ({
      promptIds: Array.from({ length: PROMPT }, (_, t) => (4 + i * 131 + t * 17) % vocabSize),
      ...{ maxNewTokens, stopTokenIds: [] },
    }));
    const started = performance.now();
    await engine.generate(requests);
    return (performance.now() - started) / 1000;
  };
  await ask(LONG); // records what there is to record
  // Both write after the same prompts: the difference is writing alone.
  const seconds = [await ask(SHORT), await ask(LONG), await ask(SHORT), await ask(LONG)];
  const stats = engine.stats();
  await engine[Symbol.asyncDispose]();
  const step = (Math.min(seconds[1], seconds[3]) - Math.min(seconds[0], seconds[2])) / (LONG - SHORT);
  const weightBytes = [...model.namedParameters().values()].reduce(
    (sum, { sizeBytes }) => sum + sizeBytes,
    0,
  );
  const result = {
    ...{ size, batch, decodeMode, ...stats.decoding, millisecondsPerStep: step * 1000 },
    ...{ tokensPerSecond: batch / step, weightBytes, shareOfBandwidth: weightBytes / peak / step },
  };
  console.log(
    `${size}, ${batch} texts, ${stats.decoding.mode}: ${result.tokensPerSecond.toFixed(0)} tokens/s, ${(100 * result.shareOfBandwidth).toFixed(0)} % of reading the weights once a step`,
  );
  return result;
}

const peak = bandwidth();
console.log(`memory: ${(peak / 1e9).toFixed(0)} GB/s`);
const results = [];
for (const size of values.sizes.split(/\s+/)) {
  const model = randomModel(size, device);
  for (const batch of values.batches.split(/\s+/).map(Number)) {
    for (const mode of [torch.canRecordGraphs(device) ? "graph" : "fixed", "plain"]) {
      try {
        results.push(await measure(model, size, batch, mode));
      } catch (error) {
        console.error(`${size}, ${batch} texts, ${mode}: ${error.message}`);
        results.push({ size, batch, decodeMode: mode, error: error.message });
        process.exitCode = 1;
      }
    }
  }
  model[Symbol.dispose]();
  torch.emptyCache();
}
if (values.out)
  writeFileSync(
    values.out,
    `${JSON.stringify({ device, ...torch.installation(), bytesPerSecond: peak, results }, null, 2)}\n`,
  );
