/** `--nproc N`: starts N processes of the same command on this machine, with the variables that torchrun would set. */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { rankFromEnvironment } from "../parallel/ranks.js";

/** After one rank has failed the others notice by themselves; what still runs then is ended. Milliseconds. */
const GRACE = 30_000;

/**
 * Runs all ranks to their end. Rank 0 has this terminal; of the others only what the first one to fail wrote is shown.
 * @param words the command line after `camelid`, `--nproc` included
 * @returns the exit code of the first rank that failed, else that of rank 0
 */
export async function launchRanks(count: number, words: readonly string[]): Promise<number> {
  const base = rankFromEnvironment(process.env); // a node among several, where something else starts one process on each
  const port = base.size === 1 ? await freePort() : base.port;
  const ranks = Array.from({ length: count }, (_, local) =>
    startRank(local, withoutNproc(words), {
      RANK: String(base.rank * count + local),
      WORLD_SIZE: String(base.size * count),
      LOCAL_RANK: String(local),
      LOCAL_WORLD_SIZE: String(count),
      MASTER_ADDR: base.host,
      MASTER_PORT: String(port),
    }),
  );
  return waitForAll(ranks);
}

interface Rank {
  name: string;
  process: ChildProcess;
  /** Its last words; empty where they go to the terminal. */
  words: string;
  ended: Promise<number>;
}

function startRank(local: number, words: readonly string[], variables: Record<string, string>): Rank {
  const isFirst = local === 0;
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...words], {
    env: { ...process.env, ...variables },
    stdio: isFirst ? "inherit" : ["ignore", "ignore", "pipe"],
  });
  const rank: Rank = {
    name: `rank ${variables.RANK}`,
    process: child,
    words: "",
    ended: new Promise((resolve) => {
      child.on("error", () => resolve(1));
      child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 1)));
    }),
  };
  child.stderr?.on("data", (chunk: Buffer) => {
    rank.words = (rank.words + chunk.toString()).slice(-10_000);
  });
  return rank;
}

async function waitForAll(ranks: readonly Rank[]): Promise<number> {
  // Ctrl+C reaches every process of the terminal: they agree on a step to stop after, and this one waits for them.
  const ignore = (): void => {};
  const end = (signal: NodeJS.Signals) => (): void => {
    for (const rank of ranks) rank.process.kill(signal);
  };
  const passOn = end("SIGTERM");
  process.on("SIGINT", ignore).on("SIGTERM", passOn);
  let failed: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    const codes = await Promise.all(
      ranks.map(async (rank) => {
        const code = await rank.ended;
        if (code !== 0 && code !== 130 && failed === undefined) {
          failed = code;
          process.stderr.write(`${rank.name} failed${rank.words === "" ? "." : `:\n${rank.words}`}\n`);
          timer = setTimeout(end("SIGKILL"), GRACE);
        }
        return code;
      }),
    );
    return failed ?? codes[0]!;
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", ignore).off("SIGTERM", passOn);
  }
}

function withoutNproc(words: readonly string[]): string[] {
  return words.filter(
    (word, i) => !/^--nproc(=|$)/.test(word) && !(words[i - 1] === "--nproc" && /^\d+$/.test(word)),
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
