// collectives.mjs [--device cuda:0] [--out F]: a process for each GPU (two where there is none): what they send each other, a training step on all of them, and,
// of several, what happens when one is killed. Exit code 1 when a check fails.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { initModel } from "../../packages/camelid/dist/model/load.js";
import { aloneInTheWorld, joinWorld } from "../../packages/camelid/dist/parallel/world.js";
import { accumulateSft } from "../../packages/camelid/dist/train/accumulate.js";
import { LossMeter } from "../../packages/camelid/dist/train/loss-meter.js";
import { distributedAdamw } from "../../packages/camelid/dist/train/optim/distributed-adamw.js";
import * as torch from "../../packages/torch/dist/index.js";
import { attempt, check, device, distance, finish, needDevice, smallConfig, values } from "./checks.mjs";

const isGpu = device !== "cpu";
if (values.rank === undefined) await lead();
else await follow();

async function lead() {
  needDevice();
  const ranks = isGpu ? torch.installation().devices.filter((one) => one.startsWith("cuda")).length : 2;
  const count = Math.min(ranks, 4);
  console.log(`${count} ${count === 1 ? "rank" : "ranks"} on ${isGpu ? "GPUs" : "the CPU"}`);
  const codes = await Promise.all((await start(count)).map(({ ended }) => ended));
  check(
    `${count} ranks: collectives, and a step equal to one process's`,
    codes.filter((code) => code !== 0).length,
  );
  if (count > 1) {
    const begun = Date.now();
    const all = await start(count, { CAMELID_BENCH_KILL: "1" });
    const left = await Promise.all(all.slice(0, -1).map(({ ended }) => ended));
    check("a rank is killed: the others end with its name", left.filter((code) => code !== 42).length);
    check("a rank is killed: seconds until they end, start included", (Date.now() - begun) / 1000, 40);
  }
  finish({ ranks: count });
}

async function start(count, env = {}) {
  const port = await freePort();
  return Array.from({ length: count }, (_, rank) => {
    const own = isGpu ? `cuda:${rank}` : "cpu";
    const child = spawn(
      process.execPath,
      [fileURLToPath(import.meta.url), "--device", own, "--rank", `${rank}`],
      {
        stdio: "inherit",
        env: {
          ...process.env,
          ...{ RANK: `${rank}`, WORLD_SIZE: `${count}`, LOCAL_RANK: `${rank}`, LOCAL_WORLD_SIZE: `${count}` },
          ...{ MASTER_ADDR: "127.0.0.1", MASTER_PORT: `${port}`, CAMELID_RANK_PATIENCE: "10", ...env },
        },
      },
    );
    return { ended: new Promise((resolve) => child.on("close", (code, signal) => resolve(code ?? signal))) };
  });
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** One rank. A world of one has no group of its own: it makes one here, so that NCCL runs on a single GPU too. */
async function follow() {
  const { RANK, WORLD_SIZE, MASTER_PORT } = process.env;
  const [rank, size] = [Number(RANK), Number(WORLD_SIZE)];
  const world =
    size === 1
      ? aloneWithGroup(torch.joinGroup({ rank, size, host: "127.0.0.1", port: Number(MASTER_PORT) }))
      : joinWorld();
  const { group } = world;
  const expected = isGpu ? "nccl" : "gloo";
  if (group.backend(device) !== expected) throw new Error(`${device} travels over ${group.backend(device)}`);
  if (process.env.CAMELID_BENCH_KILL === "1") return await lose(world, group);

  const say = (name, body, limit) => attempt(`rank ${rank}: ${name}`, body, limit);
  const filled = (n, value, dtype = "float32") => torch.full([n], value, { dtype, device });
  const total = (size * (size + 1)) / 2;
  for (const dtype of ["float32", "bfloat16", "float64", "int64"]) {
    await say(`all-reduce, ${dtype}`, () => {
      const x = filled(1000, rank + 1, dtype);
      group.allReduce(x).wait();
      return distance(x, filled(1000, total, dtype));
    });
  }
  await say("largest", () => {
    const x = filled(3, rank);
    group.allReduce(x, "max").wait();
    return distance(x, filled(3, size - 1));
  });
  await say("broadcast", () => {
    const x = filled(5, rank + 7);
    group.broadcast(x, size - 1).wait();
    return distance(x, filled(5, size + 6));
  });
  await say("reduce to the last", () => {
    const x = filled(5, rank + 1);
    group.reduce(x, size - 1).wait();
    return rank === size - 1 ? distance(x, filled(5, total)) : 0;
  });
  await say("all-gather", () => {
    const all = filled(4 * size, 0);
    group.allGather(all, filled(4, rank + 1)).wait();
    return distance(
      all,
      torch
        .arange(0, 4 * size, 1, { dtype: "float32", device })
        .div(4)
        .floor()
        .add(1),
    );
  });
  await say("reduce-scatter", () => {
    const own = filled(4, 0);
    group.reduceScatter(own, filled(4 * size, rank + 1)).wait();
    return distance(own, filled(4, total));
  });
  await say("numbers of the host", () => Math.abs(world.sumNumbers([rank + 1])[0] - total));
  for (const shard of ["none", "optimizer", "gradients"])
    await say(`two steps, shard ${shard}, against one process`, () => step(world, shard), 1e-5);
  world[Symbol.dispose]();
  finish();
}

function aloneWithGroup(group) {
  const alone = aloneInTheWorld();
  const sumNumbers = (numbers) => {
    const x = torch.tensor(Float64Array.from(numbers));
    group.allReduce(x).wait();
    return x.toArray();
  };
  const sum = (x) => group.allReduce(x).wait();
  return { ...alone, group, sum, sumNumbers, [Symbol.dispose]: () => group[Symbol.dispose]() };
}

/** Weights after two steps on the ranks' shares of eight rows, against the same steps on all of the rows here. */
function step(world, shard) {
  const rows = [30, 50, 20, 70, 40, 25, 65, 10].map((length, r) => {
    const inputIds = Int32Array.from({ length }, (_, i) => 4 + ((i * 37 + r * 11) % 900));
    return { id: `${r}`, dataset: "a", inputIds, labels: inputIds };
  });
  const after = [world, aloneInTheWorld()].map((where) => {
    torch.manualSeed(1);
    const model = initModel(smallConfig(2), { dtype: "float32", device, trainable: true });
    const parameters = model.namedParameters();
    const optimizer = distributedAdamw(
      parameters,
      { betas: [0.9, 0.95], eps: 1, weightDecay: 0, shard },
      where,
    );
    const meter = new LossMeter(["a"], device, where);
    const mine = where.share(rows, ({ inputIds }) => inputIds.length);
    for (let i = 0; i < 2; i++) {
      optimizer.begin(1, 1);
      accumulateSft(model, mine, 1 / 302, meter);
      optimizer.update(1, 1).dispose();
    }
    meter.take();
    optimizer[Symbol.dispose]();
    return parameters;
  });
  return Math.max(...[...after[1]].map(([name, weight]) => distance(after[0].get(name), weight)));
}

/** The last rank dies in the middle; exit code 42 says that this one was told so while it waited for its GPU. */
async function lose(world, group) {
  const x = torch.ones([1000], { device });
  group.allReduce(x).wait();
  torch.synchronize(device);
  if (world.rank === world.size - 1) process.kill(process.pid, "SIGKILL");
  try {
    for (let i = 0; i < 100; i++) {
      group.allReduce(x).wait();
      x.sum().item();
    }
  } catch (error) {
    console.log(`rank ${world.rank}: ${error.code}: ${error.message}`);
    world[Symbol.dispose]();
    process.exit(error.code === "ERR_RANK_LOST" ? 42 : 1);
  }
}
