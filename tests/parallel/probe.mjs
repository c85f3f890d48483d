/**
 * One rank of a small group that trains a stack of layers on random numbers, as the distributed optimizer's tests ask:
 *   node probe.mjs <bits | drift | passes | memory | leave> <shard>
 * What it saw goes to standard output as one JSON object.
 */
import { createHash } from "node:crypto";
import * as torch from "@camelid/torch";
import { distributedAdamw, joinWorld } from "camelid";

const [, , task, shard] = process.argv;
const [LAYERS, SIZE] = task === "memory" ? [40, 256] : [5, 40];

torch.setNumThreads(1);
const world = joinWorld();
if (task === "leave") {
  // Rank 1 stays for longer than a silent store is noticed after.
  if (world.rank === 1) await new Promise((resolve) => setTimeout(resolve, 2000));
  const lost = world.group.failure();
  const started = performance.now();
  world[Symbol.dispose]();
  console.log(JSON.stringify({ lost, leftAfterMs: performance.now() - started }));
  process.exit(0);
}
torch.manualSeed(1);
const parameters = new Map(
  Array.from({ length: LAYERS }, (_, i) => [`layer.${i}`, torch.randn([SIZE, SIZE]).mul(0.05)]),
);
if (task === "drift" && world.rank === 1)
  parameters
    .get("layer.3")
    .select(0, 0)
    .mul_(1 + 2 ** -23);
for (const parameter of parameters.values()) parameter.requiresGrad = true;

const LAYER_BYTES = 4 * SIZE * SIZE;
const settings = {
  betas: [0.9, 0.95],
  eps: 1e-8,
  weightDecay: 0,
  shard,
  bucketBytes: (task === "memory" ? 1 : 2) * LAYER_BYTES,
};
const before = torch.memoryStats().liveBytes;
const optimizer = distributedAdamw(parameters, settings, world);

function pass(step) {
  torch.tensorScope(() => {
    torch.manualSeed(100 * step + world.rank);
    let x = torch.randn([4, SIZE]);
    for (const parameter of parameters.values()) x = torch.linear(x, parameter).tanh();
    x.pow(2).mean().backward();
  });
}

const seen = { norms: [], weights: [] };
try {
  for (let step = 1; step <= 3; step++) {
    const passes = 1 + ((step + world.rank) % 2);
    optimizer.begin(0.01, passes);
    if (step === 2) torch.resetPeakMemory();
    const start = torch.memoryStats().liveBytes;
    for (let i = 0; i < passes + (task === "passes" ? 1 : 0); i++) pass(step);
    const norm = optimizer.update(0.01, 1);
    if (step === 2) seen.stepBytes = (torch.memoryStats().peakBytes - start) / LAYER_BYTES;
    seen.norms.push(norm.item());
    norm.dispose();
    const hash = createHash("sha256");
    for (const parameter of parameters.values()) hash.update(parameter.toBytes());
    seen.weights.push(hash.digest("hex"));
  }
  seen.stateBytes = (torch.memoryStats().liveBytes - before) / LAYER_BYTES;
} catch (error) {
  seen.error = `${error.code}: ${error.message}`;
  world.reportFailure(error.message);
}
console.log(JSON.stringify(seen));
for (const parameter of parameters.values()) parameter.dispose();
world[Symbol.dispose]();
process.exit(0);
