// link.mjs: one rank that measures what messages between ranks take. Prints {allReduce, reduce, broadcast}: seconds by bytes.
import { joinWorld } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";

const { sizes, rounds } = JSON.parse(process.argv[2]);
torch.setNumThreads(1);
const world = joinWorld();
const { group } = world;
const seconds = { allReduce: {}, reduce: {}, broadcast: {} };
for (const bytes of sizes) {
  const tensor = torch.zeros([bytes / 2], { dtype: "bfloat16" });
  const send = {
    allReduce: () => group.allReduce(tensor),
    reduce: () => group.reduce(tensor, 0),
    broadcast: () => group.broadcast(tensor, 0),
  };
  for (const kind of Object.keys(send)) {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds; round++) {
      group.allReduce(torch.zeros([1])).wait();
      const started = performance.now();
      send[kind]().wait();
      // Until everybody has it: a root may be done before the others.
      const [longest] = world
        .exchange(String(performance.now() - started))
        .map(Number)
        .sort((a, b) => b - a);
      best = Math.min(best, longest / 1000);
    }
    seconds[kind][bytes] = best;
  }
}
console.log(JSON.stringify(seconds));
world[Symbol.dispose]();
