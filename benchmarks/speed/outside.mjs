/**
 * What a dense training step takes beside its matrix products: the step of benchmarks/sft's dense case and the products of its projections
 * and head alone, in turn in one process, so that a busy moment hits both. Processor time of all threads; best of the rounds.
 *
 *     node benchmarks/speed/outside.mjs [--threads 1] [--rounds 4] [--layers 12] [--clock cpu|wall] [--mixed] [--profile]
 *
 * `--mixed` keeps fp32 masters and clips; `--profile` lists what the costliest operators of one more step take themselves, in wall time.
 */
import { parseArgs } from "node:util";
import { adamw, initModel, packRows, parseConfig, scaledNll } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { products } from "./products.mjs";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "4" },
    layers: { type: "string", default: "12" },
    clock: { type: "string", default: "cpu" },
    mixed: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
torch.setNumThreads(Number(values.threads));
torch.manualSeed(0);
const [hidden, inner, vocab, layers] = [768, 2048, 32000, Number(values.layers)];
const config = parseConfig({
  model_type: "llama",
  ...{ vocab_size: vocab, hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers },
  ...{ num_attention_heads: 12, max_position_embeddings: 2048 },
});
const model = initModel(config, { dtype: "bfloat16" });
for (const parameter of model.namedParameters().values()) parameter.requiresGrad = true;
const optimizer = adamw(model.namedParameters(), {
  ...{ betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, masterWeights: values.mixed },
});
const rows = Array.from({ length: 4 }, () => torch.randint(0, vocab, [512]).toArray());
const places = torch.tensor(
  rows.flatMap((_, row) => Array.from({ length: 511 }, (_, i) => row * 512 + i)),
  { dtype: "int64" },
);
const labels = torch.tensor(
  rows.flatMap((row) => row.slice(1)),
  { dtype: "int64" },
);

function step() {
  torch.tensorScope(() => {
    const states = torch.span("forward", () => model.hiddenStates(packRows(rows, "cpu")));
    const { loss } = torch.span("head", () =>
      scaledNll(states.indexSelect(0, places), model.headWeight, labels, 1 / labels.numel),
    );
    torch.span("backward", () => loss.backward());
  });
  optimizer.update(1e-4, values.mixed ? 1 : null).dispose();
}

const layer = [...Array(4).fill([hidden, hidden]), [inner, hidden], [inner, hidden], [hidden, inner]];
const only = products(
  { projections: Array.from({ length: layers }, () => layer).flat(), head: [vocab, hidden] },
  2048,
);

function seconds(body) {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  body();
  const { user, system } = process.cpuUsage(cpu);
  return values.clock === "cpu" ? (user + system) / 1e6 : (performance.now() - wall) / 1000;
}

const best = { step: Number.POSITIVE_INFINITY, products: Number.POSITIVE_INFINITY };
for (let round = 0; round <= Number(values.rounds); round++) {
  const took = { step: seconds(step), products: seconds(() => only.train(2048, 2044)) };
  if (round === 0) continue; // first touches of memory
  for (const name of Object.keys(best)) best[name] = Math.min(best[name], took[name]);
  const outside = 100 * (1 - took.products / took.step);
  console.error(
    `step ${took.step.toFixed(2)} s, products ${took.products.toFixed(2)} s: ${outside.toFixed(1)} % outside`,
  );
}
const share = 100 * (1 - best.products / best.step);
console.log(
  `best: step ${best.step.toFixed(2)} s, products ${best.products.toFixed(2)} s, ${share.toFixed(1)} % outside; peak of tensors ${(torch.memoryStats().peakBytes / 1e6).toFixed(0)} MB`,
);

if (values.profile) {
  const { events } = await torch.profile(step);
  const costs = torch.operatorCosts(events);
  const total = costs.reduce((sum, { selfUs }) => sum + selfUs, 0);
  for (const { name, calls, selfUs } of costs.slice(0, 40))
    console.log(
      `${name.padEnd(44)} ${String(calls).padStart(5)} ${(selfUs / 1000).toFixed(1).padStart(8)} ms ${((100 * selfUs) / total).toFixed(1).padStart(5)} %`,
    );
}
