/**
 * One rank that trains a small model in parts, looked at from inside: node model-probe.mjs <model folder> <checkpointing: true | false | apart>
 * Bytes, bits and gradients go to standard output as one JSON object.
 */
import * as torch from "@camelid/torch";
import {
  distributedAdamw,
  heldOneByOne,
  joinWorld,
  loadModel,
  packRows,
  scaledNll,
  weightsHash,
} from "camelid";

const [, , folder, checkpointing] = process.argv;
const TOKENS = 8;

torch.setNumThreads(1);
const world = joinWorld();
const bytes = () => torch.memoryStats();
const atStart = bytes().liveBytes;
torch.resetPeakMemory();
const shard = world.size === 1 ? "none" : "parameters";
const model = loadModel(folder, { trainable: true, ...(shard === "parameters" && { shardOver: world }) });
model.activationCheckpointing = checkpointing === "true";
const seen = { loaded: bytes().liveBytes - atStart, loadPeak: bytes().peakBytes - atStart, steps: [] };
const settings = { betas: [0.9, 0.95], eps: 1e-4, weightDecay: 0, shard };
const optimizer = distributedAdamw(model.namedParameters(), settings, world);

if (checkpointing === "apart") {
  // One rank begins a pass, the other reads a weight.
  try {
    if (world.rank === 0) torch.noGrad(() => model.hiddenStates(packRows([[1, 2]], "cpu")));
    else weightsHash(heldOneByOne(model.namedParameters()));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error.code}: ${error.message}` }));
  }
  world[Symbol.dispose]();
  process.exit(0);
}

/** Rank r of n computes every n-th of 5 passes: ranks differ in how many they have. */
const passes = [0, 1, 2, 3, 4].filter((i) => i % world.size === world.rank);
function pass(step, i) {
  torch.tensorScope(() => {
    torch.manualSeed(100 * step + i);
    const row = torch.randint(0, model.config.vocabSize, [TOKENS + 1]).toArray();
    const hidden = model.hiddenStates(packRows([row.slice(0, -1)], "cpu"));
    const labels = torch.tensor(row.slice(1), { dtype: "int64" });
    scaledNll(hidden, model.headWeight, labels, 1 / (5 * TOKENS)).loss.backward();
  });
}

const someOf = (tensor) =>
  torch.tensorScope(() => [tensor.norm().item(), ...tensor.view([-1]).narrow(0, 0, 16).toArray()]);

for (let step = 1; step <= 2; step++) {
  torch.resetPeakMemory();
  optimizer.begin(0.01, passes.length);
  for (const i of passes) pass(step, i);
  const norm = optimizer.update(0.01, null);
  const at = bytes();
  // Of the first step: a tenth of the gradient.
  const moments = [...optimizer.state()].filter(([name]) => name.startsWith("exp_avg."));
  seen.steps.push({
    norm: norm.item(),
    peak: at.peakBytes - atStart,
    end: at.liveBytes - atStart,
    moments: Object.fromEntries(moments.map(([name, moment]) => [name, someOf(moment)])),
  });
  norm.dispose();
}
seen.weights = weightsHash(heldOneByOne(model.namedParameters()));
world.meet();
console.log(JSON.stringify(seen));
optimizer[Symbol.dispose]();
model[Symbol.dispose]();
world[Symbol.dispose]();
process.exit(0);
