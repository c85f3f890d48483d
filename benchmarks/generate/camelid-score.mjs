// camelid-score.mjs MODEL PROMPTS DTYPE: log-likelihoods of four answers to every item, timed with tokenisation.
import { readFileSync } from "node:fs";
import { createEngine, loadModel, loadTokenizer } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "../sft/peak.mjs";

const [folder, file, dtype] = process.argv.slice(2);
torch.setNumThreads(Number(process.env.BENCH_THREADS));
const { contexts, choices } = JSON.parse(readFileSync(file, "utf8"));
const model = loadModel(folder, { dtype });
const tokenizer = await loadTokenizer(folder);

async function score(texts) {
  const engine = createEngine(model, tokenizer);
  const [prompts, answers] = [
    await tokenizer.encodeBatch(texts, { addSpecialTokens: true }),
    await tokenizer.encodeBatch(choices),
  ];
  const scores = await engine.score(prompts.map((promptIds) => ({ promptIds, continuations: answers })));
  const { reusedTokens, promptTokens } = engine.stats();
  await engine[Symbol.asyncDispose]();
  return { scores, reusedTokens, promptTokens };
}

await score(contexts.slice(0, 2));
const started = performance.now();
const { scores, ...tokens } = await score(contexts);
const seconds = (performance.now() - started) / 1000;
const logps = scores.flat().map(({ logp }) => logp);
const meanLogp = logps.reduce((a, b) => a + b, 0) / logps.length;
console.log(
  JSON.stringify({ perSecond: contexts.length / seconds, peakBytes: peakBytes(), meanLogp, ...tokens }),
);
