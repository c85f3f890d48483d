/**
 * One process writes a run. A second one - a job that a scheduler started again while the first still runs - would mix its
 * events into the same files and remove what the first is saving. The lock names its process; one left by a process that is
 * dead does not count, so that a run killed at any moment can be resumed at once.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";

export const lockName = ".lock";

interface Holder {
  host: string;
  pid: number;
  /** When the process started, in the system's own unit: a number that is used again belongs to another process. */
  started: string | undefined;
}

/**
 * @returns what gives the lock back
 * @throws {CheckpointError} `ERR_RUN_BUSY` when a living process of this machine writes the run
 */
export function lockRun(run: string): () => void {
  const path = join(run, lockName);
  const own: Holder = { host: hostname(), pid: process.pid, started: startOf(process.pid) };
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(path, `${JSON.stringify(own)}\n`, { flag: "wx" });
      return () => {
        try {
          rmSync(path, { force: true });
        } catch {
          // The disk turned read-only; a lock of a dead process does not count anyway.
        }
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt > 3) throw error;
    }
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder, own)) {
      throw new CheckpointError("ERR_RUN_BUSY", `process ${holder.pid} is writing this run.`, {
        where: run,
        fix: "wait for it, stop it with Ctrl+C, or choose another --out.",
      });
    }
    rmSync(path, { force: true });
  }
}

/**
 * Who writes a run, for those who only look: `alive` with its process, `elsewhere` for another machine's, of which
 * nothing is known but its name, or `nobody`.
 */
export function runHolder(
  run: string,
): { kind: "alive"; pid: number } | { kind: "elsewhere"; host: string } | { kind: "nobody" } {
  const holder = readHolder(join(run, lockName));
  if (holder === undefined) return { kind: "nobody" };
  if (holder.host !== hostname()) return { kind: "elsewhere", host: holder.host };
  const own: Holder = { host: hostname(), pid: process.pid, started: undefined };
  return isAlive(holder, own) ? { kind: "alive", pid: holder.pid } : { kind: "nobody" };
}

/** Whether the holder can be seen to live. Of processes on other machines nothing is known. */
function isAlive({ host, pid, started }: Holder, own: Holder): boolean {
  if (host !== own.host) return false;
  if (started !== undefined) return startOf(pid) === started && pid !== own.pid;
  try {
    process.kill(pid, 0);
    return pid !== own.pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Clock ticks between the machine's start and the process's, on Linux. */
function startOf(pid: number): string | undefined {
  try {
    // The second field, the name in brackets, may hold spaces; the start is the 22nd.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const { host, pid, started } = JSON.parse(readFileSync(path, "utf8"));
    return typeof host === "string" && Number.isSafeInteger(pid) && pid > 0
      ? { host, pid, started }
      : undefined;
  } catch {
    return undefined; // cut by a crash, or just given back
  }
}
