// rank.mjs: one process of a step that is always the same. Prints {tokensPerSecond, peakBytes}.
import {
  aloneInTheWorld,
  distributedAdamw,
  initModel,
  joinWorld,
  packRows,
  parseConfig,
  scaledNll,
} from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { peakBytes } from "../sft/peak.mjs";

const { config, rows, seqLen, rowsPerPass, steps, shard, overlapped } = JSON.parse(process.argv[2]);
torch.setNumThreads(1);
const world = process.env.RANK === undefined ? aloneInTheWorld() : joinWorld();
torch.manualSeed(0);
const model = initModel(parseConfig(config), { dtype: "bfloat16", trainable: true });
const settings = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, masterWeights: true, shard };
const optimizer = distributedAdamw(model.namedParameters(), settings, world);

const all = Array.from({ length: rows }, () =>
  torch.tensorScope(() => torch.randint(0, config.vocab_size, [seqLen]).toArray()),
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

let started = 0;
const warmUp = 2;
for (let step = 0; step < warmUp + steps; step++) {
  if (step === warmUp) {
    world.exchange("ready");
    started = performance.now();
  }
  // A step begun with one pass more than comes sends everything at its end.
  optimizer.begin(1e-4, passes.length + (overlapped ? 0 : 1));
  for (const some of passes) pass(some);
  optimizer.update(1e-4, 1).dispose();
}
const tokensPerSecond = (steps * rows * seqLen * 1000) / (performance.now() - started);
console.log(JSON.stringify({ tokensPerSecond, peakBytes: peakBytes() }));
world[Symbol.dispose]();
