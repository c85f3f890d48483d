/** The processes that train one model together. One process alone is a world of size 1, in which everything here does nothing. */
import { networkInterfaces } from "node:os";
import type { ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { SettingsError, TrainingError } from "../errors.js";
import { type RankInfo, rankFromEnvironment } from "./ranks.js";
import { shareOut } from "./share.js";

export interface World extends Disposable, RankInfo {
  /** Rank 0: the one that writes files and speaks. */
  readonly isMain: boolean;
  /** What the ranks send each other; undefined in a world of one. */
  readonly group: ProcessGroup | undefined;
  /** The part of a step's micro-batches that this rank computes; in a world of one, all. */
  share<T>(batches: readonly T[], cost: (batch: T) => number): T[];
  /** In place, over all ranks. */
  sum(tensor: Tensor): void;
  /** The sums over all ranks, exact to float64. */
  sumNumbers(numbers: readonly number[]): number[];
  /** Whether it is so on any rank: all get the same answer. */
  any(here: boolean): boolean;
  /** Rank 0 works first, the others after it: they find what it left. */
  mainFirst<T>(work: () => Promise<T>): Promise<T>;
  /** Short texts of all ranks, in their order. */
  exchange(text: string): string[];
  /** @throws {TrainingError} `ERR_RANKS_DIFFER` naming what is not the same on every rank */
  checkSame(facts: () => Readonly<Record<string, string>>): void;
  /**
   * All ranks come here, one after the other; who waits meanwhile does what `whileWaiting` was given. Whatever else of this
   * interface all ranks do together begins so by itself.
   */
  meet(): void;
  /**
   * @param serve returns when all ranks are in it
   * @returns takes it back
   */
  whileWaiting(serve: () => void): () => void;
  /** Tells the other ranks why this one ends. */
  reportFailure(cause: string): void;
}

/** Where all waits for rank 0 to finish something long; a rank that hangs is noticed by other means. Seconds. */
const PATIENT = 24 * 3600;

/**
 * Takes part in what the environment says (`rankFromEnvironment`); returns when all ranks are there. `CAMELID_RANK_ARRIVAL` says
 * how long to wait for them (600), `CAMELID_RANK_PATIENCE` after how much silence a rank is given up (20), in seconds;
 * `GLOO_SOCKET_IFNAME` which network interface to use.
 * @throws {SettingsError} `ERR_RANK_VARIABLES`
 * @throws {DistributedError} `ERR_RENDEZVOUS`
 */
export function joinWorld(env: Readonly<Record<string, string | undefined>> = process.env): World {
  const info = rankFromEnvironment(env);
  if (info.size === 1) return aloneInTheWorld(info);
  const isLocal = info.localSize === info.size;
  return groupWorld(
    info,
    torch.joinGroup({
      ...info,
      prefix: `camelid/attempt_${info.attempt}`,
      timeout: PATIENT,
      arrival: Number(env.CAMELID_RANK_ARRIVAL ?? 600),
      patience: Number(env.CAMELID_RANK_PATIENCE ?? 20),
      ...(isLocal ? { hostname: "127.0.0.1" } : ownAddress(env.GLOO_SOCKET_IFNAME)),
    }),
  );
}

/** The address of the network interface that the others are to use; left to Gloo when none is named. */
function ownAddress(name: string | undefined): { hostname?: string } {
  if (name === undefined || name === "") return {};
  const interfaces = networkInterfaces();
  const [address] = interfaces[name] ?? [];
  if (address !== undefined) return { hostname: address.address };
  throw new SettingsError(
    "ERR_RANK_VARIABLES",
    `GLOO_SOCKET_IFNAME is "${name}"; there is no such interface with an address.`,
    {
      where: `this machine has ${Object.keys(interfaces).join(", ")}`,
      fix: "name one of these, or unset it.",
    },
  );
}

export function aloneInTheWorld(info: RankInfo = rankFromEnvironment({})): World {
  return {
    ...info,
    isMain: true,
    group: undefined,
    share: (batches) => [...batches],
    sum() {},
    sumNumbers: (numbers) => [...numbers],
    any: (here) => here,
    mainFirst: (work) => work(),
    exchange: (text) => [text],
    checkSame() {},
    meet() {},
    whileWaiting: () => () => {},
    reportFailure() {},
    [Symbol.dispose]() {},
  };
}

function groupWorld(info: RankInfo, group: ProcessGroup): World {
  const isMain = info.rank === 0;
  let turns = 0;
  const serving = new Set<() => void>();
  const meet = (): void => {
    for (const serve of serving) serve();
  };
  const sum = (tensor: Tensor): void => {
    meet();
    group.allReduce(tensor).wait();
  };
  const exchange = (text: string): string[] => {
    meet();
    return group.exchange(`texts-${turns++}`, text);
  };
  const barrier = (): void => {
    using _ = torch.tensorScope();
    sum(torch.zeros([1]));
  };
  return {
    ...info,
    isMain,
    group,
    share(batches, cost) {
      const places = shareOut(batches.map(cost), info.size)[info.rank]!;
      return places.map((place) => batches[place]!);
    },
    sum,
    sumNumbers(numbers) {
      using _ = torch.tensorScope();
      const tensor = torch.tensor(Float64Array.from(numbers));
      sum(tensor);
      return tensor.toArray();
    },
    any(here) {
      meet();
      using _ = torch.tensorScope();
      const flag = torch.full([1], here ? 1 : 0);
      group.allReduce(flag, "max").wait();
      return flag.item() > 0;
    },
    async mainFirst(work) {
      if (!isMain) barrier();
      try {
        return await work();
      } finally {
        if (isMain) barrier();
      }
    },
    exchange,
    checkSame(gather) {
      const facts = gather();
      const all = exchange(JSON.stringify(facts));
      const others = all.map((text) => JSON.parse(text) as Record<string, string>);
      for (const [name, here] of Object.entries(facts)) {
        const rank = others.findIndex((other) => other[name] !== here);
        if (rank < 0) continue;
        throw new TrainingError("ERR_RANKS_DIFFER", `${name} is not the same on every rank.`, {
          where: `rank ${info.rank}: ${here}; rank ${rank}: ${others[rank]![name] ?? "not there"}`,
          fix: "give every rank the same files, settings and version; a shared file system is the simplest.",
        });
      }
    },
    meet,
    whileWaiting(serve) {
      serving.add(serve);
      return () => serving.delete(serve);
    },
    reportFailure: (cause) => group.reportFailure(cause),
    [Symbol.dispose]: () => group[Symbol.dispose](),
  };
}
