// rank.mjs: one process of a step that is always the same. Prints {tokensPerSecond, secondsPerStep, peakBytes, tensorBytes, sent, loopback}.
import { existsSync, readFileSync } from "node:fs";
import {
  aloneInTheWorld,
  distributedAdamw,
  joinWorld,
  loadModel,
  packRows,
  scaledNll,
} from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "../sft/peak.mjs";

const work = JSON.parse(process.argv[2]);
const { rows, seqLen, rowsPerPass, steps, shard, overlapped, warmUp = 2 } = work;
torch.setNumThreads(1);
const sent = { messages: 0, bytes: 0 };
const joined = process.env.RANK === undefined ? aloneInTheWorld() : joinWorld();
const world = joined.group === undefined ? joined : { ...joined, group: counted(joined.group) };
torch.manualSeed(0);
const shardOver = shard === "parameters" ? world : undefined;
const model = loadModel(work.folder, { dtype: "bfloat16", trainable: true, shardOver });
const settings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, masterWeights: true, shard };
const optimizer = distributedAdamw(model.namedParameters(), settings, world);

const all = Array.from({ length: rows }, () =>
  torch.tensorScope(() => torch.randint(0, model.config.vocabSize, [seqLen]).toArray()),
);
const mine = world.share(all, (row) => row.length);
const passes = Array.from({ length: Math.ceil(mine.length / rowsPerPass) }, (_, i) =>
  mine.slice(i * rowsPerPass, (i + 1) * rowsPerPass),
);
const ints = (numbers) => torch.tensor(numbers, { dtype: "int64" });

function pass(some) {
  torch.tensorScope(() => {
    const places = ints(some.flatMap((row, r) => row.slice(1).map((_, i) => r * seqLen + i)));
    const labels = ints(some.flatMap((row) => row.slice(1)));
    const hidden = model.hiddenStates(packRows(some, "cpu")).indexSelect(0, places);
    scaledNll(hidden, model.headWeight, labels, 1 / (rows * (seqLen - 1))).loss.backward();
  });
}

/** Counts what goes through a group, but for words of a few bytes. */
function counted(group) {
  const count = (tensor) => {
    if (tensor.sizeBytes <= 64) return tensor;
    sent.messages++;
    sent.bytes += tensor.sizeBytes;
    return tensor;
  };
  return {
    ...group,
    allReduce: (tensor, ...rest) => group.allReduce(count(tensor), ...rest),
    reduce: (tensor, ...rest) => group.reduce(count(tensor), ...rest),
    broadcast: (tensor, ...rest) => group.broadcast(count(tensor), ...rest),
  };
}

/** Bytes that went through the loopback device, of all programs in this network. */
function loopbackBytes() {
  const counter = "/proc/net/dev";
  const line = existsSync(counter) ? /^\s*lo:\s*(\d+)/m.exec(readFileSync(counter, "utf8")) : null;
  return line === null ? Number.NaN : Number(line[1]);
}

let started = 0;
let loopback = 0;
for (let step = 0; step < warmUp + steps; step++) {
  if (step === warmUp) {
    world.exchange("ready");
    torch.resetPeakMemory();
    Object.assign(sent, { messages: 0, bytes: 0 });
    loopback = loopbackBytes();
    started = performance.now();
  }
  // A step begun with one pass more than comes sends everything at its end.
  optimizer.begin(1e-4, passes.length + (overlapped ? 0 : 1));
  for (const some of passes) pass(some);
  optimizer.update(1e-4, 1).dispose();
}
const secondsPerStep = (performance.now() - started) / 1000 / steps;
world.exchange("done");
loopback = (loopbackBytes() - loopback) / steps;
const tokensPerSecond = (rows * seqLen) / secondsPerStep;
const tensorBytes = torch.memoryStats().peakBytes;
const ofStep = { messages: sent.messages / steps, bytes: sent.bytes / steps };
console.log(
  JSON.stringify({
    ...{ tokensPerSecond, secondsPerStep, peakBytes: peakBytes(), tensorBytes, sent: ofStep, loopback },
  }),
);
joined[Symbol.dispose]();
