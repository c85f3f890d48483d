/** Single ranks of the built program, to be started late, killed, stopped or cut off. */
import { type ChildProcess, spawn } from "node:child_process";
import { readRun } from "camelid";
import { builtProgram } from "../cli/camelid.js";

export interface Rank {
  process: ChildProcess;
  ended: Promise<{ code: number | null; err: string; seconds: number }>;
}

/** @param more variables beside torchrun's; `prefix` is a command that starts the program, such as `nsenter` */
export function rank(
  place: number,
  size: number,
  port: number,
  line: readonly string[],
  more: Record<string, string> = {},
  prefix: readonly string[] = [],
): Rank {
  const env = {
    ...process.env,
    ...{ RANK: String(place), WORLD_SIZE: String(size), LOCAL_RANK: String(place) },
    ...{ LOCAL_WORLD_SIZE: String(size), MASTER_ADDR: "127.0.0.1", MASTER_PORT: String(port) },
    CAMELID_RANK_PATIENCE: "4",
    ...more,
  };
  const started = performance.now();
  const [command, ...words] = [...prefix, process.execPath, builtProgram, ...line];
  const child = spawn(command!, words, { env, stdio: ["ignore", "ignore", "pipe"] });
  let err = "";
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  return {
    process: child,
    ended: new Promise((resolve) => {
      child.on("close", (code) => {
        resolve({ code, err, seconds: (performance.now() - started) / 1000 });
      });
    }),
  };
}

/** Resolves when the run has done so many steps. */
export async function firstStep(out: string, count = 1): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const steps = await readRun(out).then(
      (run) => run.steps.length,
      () => 0,
    );
    if (steps >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("no step was done");
}
