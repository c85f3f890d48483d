// limit.mjs KIND MODEL [FILE] ...: how fast the case could be. Prints `perSecond`, which its matrix products alone would allow,
// and `withMemory`, with the bytes that have to move besides at the rate of a copy measured here: weights, gradients and moments
// of the optimizer, 4-bit weights restored, keys and values read.
import { readFileSync } from "node:fs";
import { loadTokenizer, readPairRows, readTrainRows } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { madeRows } from "../adapters/made-rows.mjs";
import { copyRate, products, seconds, shapesOf } from "./products.mjs";

const [kind, folder, file, ...rest] = process.argv.slice(2);
const number = (name) => Number(process.env[`BENCH_${name}`]);
const steps = number("STEPS");
torch.setNumThreads(number("THREADS"));
torch.manualSeed(0);
const shapes = shapesOf(folder);
const weightsOf = (list) => list.reduce((sum, [out, width]) => sum + out * width, 0);
/** A bf16 parameter is read and written, its gradient read, two fp32 moments are read and written. */
const OPTIMIZER_BYTES = 2 * 2 + 2 + 2 * 2 * 4;
const allWeights = weightsOf([...shapes.projections, shapes.head]) + weightsOf([shapes.head]);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

const kinds = {
  dense: () => training(Array.from({ length: steps }, () => ({ tokens: 2048, trained: 2044, units: 2048 }))),
  async rows() {
    const data = await readTrainRows(file, await loadTokenizer(folder), { maxSeqLen: 1024, onBad: "skip" });
    const warmUp = 4;
    return training(
      Array.from({ length: steps }, (_, i) => data.rows.slice((warmUp + i) * 8, (warmUp + i + 1) * 8)).map(
        ofRows,
      ),
    );
  },
  async pairs() {
    const { pairs } = await readPairRows(file, await loadTokenizer(folder), { onBad: "error" });
    const perStep = number("PAIRS");
    return training(
      Array.from({ length: steps }, (_, i) => {
        const first = (number("WARM_UP") + i) * perStep;
        const batch = pairs.slice(first, first + perStep);
        const answers = batch.map(
          ({ chosen, rejected, promptTokens }) =>
            chosen.inputIds.length + rejected.inputIds.length - 2 * promptTokens,
        );
        const prompts = sum(batch.map(({ promptTokens }) => promptTokens));
        return { tokens: prompts + sum(answers), trained: sum(answers), units: perStep };
      }),
    );
  },
  lora: () => adapters(0),
  // Each weight restored before the forward and before the backward product: half a byte read, two written.
  qlora: () => adapters(2 * 2.5 * weightsOf(shapes.projections)),
  generate() {
    const { prompts } = JSON.parse(readFileSync(file, "utf8"));
    const newTokens = number("NEW_TOKENS");
    const lengths = prompts.map((ids) => ids.length);
    const only = products(shapes, sum(lengths));
    const { numHiddenLayers, numKeyValueHeads, headDim } = shapes.config;
    const bytesPerToken = 2 * numHiddenLayers * numKeyValueHeads * headDim * 2;
    const readTokens = sum(lengths.map((length) => newTokens * length + (newTokens * (newTokens - 1)) / 2));
    only.forward(prompts.length, prompts.length);
    const prefill = seconds(() => only.forward(sum(lengths), prompts.length));
    const sample = Math.min(16, newTokens);
    const decode = seconds(() => {
      for (let i = 0; i < sample; i++) only.forward(prompts.length, prompts.length);
    });
    const busy = prefill + (decode * (newTokens - 1)) / sample;
    return figures(newTokens * prompts.length, busy, bytesPerToken * readTokens);
  },
};
console.log(JSON.stringify(await kinds[kind]()));

function ofRows(rows) {
  const tokens = sum(rows.map((row) => row.inputIds.length));
  return {
    tokens,
    trained: sum(rows.map((row) => row.labels.filter((label) => label !== -100).length)),
    units: tokens,
  };
}

/** @param batches tokens, trained tokens and counted units of each step */
function training(batches, { rank = 0, bytes = OPTIMIZER_BYTES * allWeights } = {}) {
  const only = products(shapes, Math.max(...batches.map(({ tokens }) => tokens)), { rank });
  only.train(batches[0].tokens, batches[0].trained);
  const busy = seconds(() => {
    for (const { tokens, trained } of batches) only.train(tokens, trained);
  });
  return figures(sum(batches.map(({ units }) => units)), busy, bytes * batches.length);
}

function adapters(bytes) {
  const batch = ofRows(madeRows(Number(file), shapes.config.vocabSize));
  return training([batch, batch], { rank: Number(rest[0]), bytes });
}

function figures(units, busySeconds, bytes) {
  const rate = copyRate();
  return {
    perSecond: units / busySeconds,
    withMemory: units / (busySeconds + bytes / rate),
    copyGBs: rate / 1e9,
  };
}
