/**
 * Processes that compute together, over libtorch's c10d: they meet at a store that rank 0 hosts, and then reduce, gather and
 * broadcast tensors. All ranks must call the same operations in the same order. Tensors in host memory travel over Gloo, those of
 * CUDA devices over NCCL; where one of the ranks has no NCCL, all over Gloo.
 */
import type { Device } from "./dtype.js";
import { DistributedError } from "./errors.js";
import { knownReason, pause, rankLost } from "./lost-rank.js";
import { native } from "./native.js";
import type { Tensor } from "./tensor.js";

export interface GroupSettings {
  /** This process, from 0. */
  rank: number;
  /** Processes in all. */
  size: number;
  /** Where rank 0 listens. */
  host: string;
  port: number;
  /** Somebody else hosts the store already (torchrun's agent does): rank 0 connects as all others do. */
  storeIsHosted?: boolean;
  /** Keeps the keys of one attempt apart from those of an earlier one on the same store. */
  prefix?: string;
  /** A rank that shows no sign of life for so long is given up. Seconds. */
  patience?: number;
  /** How long to wait for all ranks to arrive. Seconds. */
  arrival?: number;
  /** Longest time for one collective operation. Seconds. */
  timeout?: number;
  /** Address of this machine that the others reach it by; left out, Gloo asks the system. */
  hostname?: string;
}

export type Reduction = "sum" | "max" | "min";

/** A collective operation under way. */
export interface Collective {
  /**
   * Blocks until the tensors hold the result. Tensors of a CUDA device hold it for all that the device is given from then on; the host
   * does not wait for that.
   * @throws {DistributedError} ERR_RANK_LOST when another process failed, hangs or cannot be reached
   */
  wait(): void;
}

export interface ProcessGroup extends Disposable {
  readonly rank: number;
  readonly size: number;
  /** How tensors of a device travel. */
  backend(device: Device): "gloo" | "nccl";
  /** In place, over all ranks. */
  allReduce(tensor: Tensor, reduction?: Reduction): Collective;
  /** In place: everyone gets what `root` has. */
  broadcast(tensor: Tensor, root?: number): Collective;
  /** `root` gets the result in place; what the others' tensors hold afterwards is of no use. */
  reduce(tensor: Tensor, root: number, reduction?: Reduction): Collective;
  /** @param output [size * n], rank after rank  @param input [n] */
  allGather(output: Tensor, input: Tensor): Collective;
  /** @param output [n]: this rank's part of the sum  @param input [size * n] */
  reduceScatter(output: Tensor, input: Tensor, reduction?: Reduction): Collective;
  /** Short texts of all ranks, in their order: to compare settings and hashes. Every rank must ask with the same name. */
  exchange(name: string, text: string): string[];
  /** Tells the others why this process ends; they stop with these words. */
  reportFailure(cause: string): void;
  /** What is known to have gone wrong elsewhere. */
  failure(): string | undefined;
}

/**
 * Joins the group; returns when all ranks are there.
 * @throws {DistributedError} ERR_RENDEZVOUS when the store cannot be reached, its port is taken, or ranks are missing
 */
export function joinGroup(settings: GroupSettings): ProcessGroup {
  const { rank, size, host, port, prefix = "camelid", hostname = "" } = settings;
  const arrivalMs = (settings.arrival ?? 600) * 1000;
  const timeoutMs = (settings.timeout ?? 1800) * 1000;
  const patienceMs = (settings.patience ?? 20) * 1000;
  const isHost = rank === 0 && settings.storeIsHosted !== true;
  const rendezvous = { host, port, rank, size, prefix };

  const [root] = meet(() => native.connectStore(host, port, isHost, arrivalMs), rendezvous);
  const store = native.prefixStore(root, prefix);
  meet(() => native.storeSet(store, `here/${rank}`, "yes"), rendezvous);
  for (let other = 0; other < size; other++)
    meet(() => native.storeGet(store, `here/${other}`), { ...rendezvous, missing: other });
  meet(() => native.startWatch(host, port, prefix, rank, size, patienceMs), rendezvous);
  const gloo = meet(() => native.createGlooGroup(store, rank, size, timeoutMs, hostname), rendezvous);

  const exchange = (name: string, text: string): string[] => {
    orLost(() => native.storeSet(store, `${name}/${rank}`, text));
    return Array.from({ length: size }, (_, other) =>
      orLost(() => native.storeGet(store, `${name}/${other}`)),
    );
  };
  const hasNccl = exchange("nccl-here", String(native.cudaParts().includes("nccl"))).every(
    (there) => there === "true",
  );
  const backend = (device: Device): "gloo" | "nccl" =>
    hasNccl && device.startsWith("cuda") ? "nccl" : "gloo";
  let nccl: number | undefined;
  /** A rank has one GPU. All ranks come here with their first tensor on it, since they do the same things in the same order. */
  const over = ({ device }: Tensor): number => {
    if (backend(device) === "gloo") return gloo;
    nccl ??= native.createNcclGroup(native.prefixStore(store, "nccl"), rank, size, timeoutMs, device);
    return nccl;
  };
  /** Rank 0 takes the store with it when it ends: it stays a little for the others. */
  const stayUntil = (count: string, all: number): void => {
    for (let tries = 0; isHost && tries < 30 && native.storeAdd(store, count, 0) < all; tries++) pause(100);
  };
  const started = (start: () => number): Collective => {
    const work = orLost(start);
    return { wait: () => orLost(() => native.waitWork(work)) };
  };
  return {
    rank,
    size,
    backend,
    allReduce: (tensor, reduction = "sum") =>
      started(() => native.allReduce(over(tensor), tensor.handle, reduction)),
    broadcast: (tensor, from = 0) => started(() => native.broadcast(over(tensor), tensor.handle, from)),
    reduce: (tensor, root, reduction = "sum") =>
      started(() => native.reduce(over(tensor), tensor.handle, reduction, root)),
    allGather: (output, input) => started(() => native.allGather(over(input), output.handle, input.handle)),
    reduceScatter: (output, input, reduction = "sum") =>
      started(() => native.reduceScatter(over(input), output.handle, input.handle, reduction)),
    exchange,
    reportFailure(cause) {
      if (native.watchFailure() !== "") return; // another was first
      try {
        native.storeSet(store, "failed", `rank ${rank} failed: ${cause}`);
        stayUntil("heard", size); // all have read this
      } catch {
        // The store is gone as well: the others find out by themselves.
      }
    },
    failure: () => native.watchFailure() || undefined,
    [Symbol.dispose]() {
      // To close a group is to wait for what is under way, and that does not end when a rank hangs. The process will.
      if (native.watchFailure() !== "") {
        process.on("exit", (code) => native.leave(code));
        return;
      }
      try {
        native.storeAdd(store, "left", 1);
        stayUntil("left", size); // nobody waits for what the others said last
      } catch {
        // The store has gone before this rank.
      }
      if (nccl !== undefined) native.closeGroup(nccl);
      native.stopWatch();
      native.closeGroup(gloo);
      native.closeStore(store);
      native.closeStore(root);
    },
  };
}

function meet<T>(
  call: () => T,
  at: { host: string; port: number; rank: number; size: number; missing?: number },
): T {
  try {
    return call();
  } catch (cause) {
    const words = firstLine(cause);
    const isTaken = /EADDRINUSE|address already in use/i.test(words);
    const missing = at.missing === undefined ? "" : ` rank ${at.missing} did not arrive:`;
    throw new DistributedError(
      "ERR_RENDEZVOUS",
      `the ${at.size} ranks did not come together:${missing} ${words}`,
      {
        where: `rank ${at.rank}, store at ${at.host}:${at.port}`,
        fix: isTaken
          ? "another program has the port: set MASTER_PORT to a free one."
          : "check that every rank was started, with the same MASTER_ADDR and MASTER_PORT, and that the port can be reached.",
        cause,
      },
    );
  }
}

function orLost<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    // A broken connection is seen at once, its reason a moment later.
    throw rankLost(knownReason() ?? `the other ranks are gone: ${firstLine(cause)}`, cause);
  }
}

/** Without Gloo's advice, and without the place in its sources. */
function firstLine(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return line.replace(/ This is typically.*$/, "").replace(/^\[\S+\.cc:\d+\] /, "");
}
