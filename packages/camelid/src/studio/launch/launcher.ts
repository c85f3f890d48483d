/**
 * Training that the Studio started: the same command that a person would type, in a process of its own that goes on when the
 * Studio ends. What it prints is kept in a log beside the votes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { runHolder } from "../../run/run-lock.js";
import type { LaunchState } from "../api.js";

export interface Launch {
  readonly id: string;
  readonly command: string;
  /** Folder of the run. */
  readonly out: string;
  readonly log: string;
  readonly child: ChildProcess;
}

const LOG_SHOWN = 20_000;

export class Launcher {
  readonly #launches = new Map<string, Launch>();

  /**
   * @param program what starts `camelid`: Node.js and the path of its main module
   * @param folder where logs go
   */
  constructor(
    readonly program: readonly [string, ...string[]],
    readonly folder: string,
  ) {}

  start(words: readonly string[], command: string, out: string): Launch {
    mkdirSync(join(this.folder, "logs"), { recursive: true });
    const id = String(this.#launches.size + 1);
    const log = join(this.folder, "logs", `${new Date().toISOString().replace(/[:.]/g, "-")}.log`);
    const output = openSync(log, "a");
    const [program, ...first] = this.program;
    // Ctrl+C in the Studio's terminal must not reach the training: a group of its own.
    const child = spawn(program, [...first, ...words], { stdio: ["ignore", output, output], detached: true });
    closeSync(output);
    child.on("error", () => {}); // its exit code tells
    child.unref();
    const launch = { id, command, out, log, child };
    this.#launches.set(id, launch);
    return launch;
  }

  get(id: string): Launch | undefined {
    return this.#launches.get(id);
  }
}

/** @param folder its id; told once the process writes a run there: of a resumed one the folder was there before */
export function launchState({ id, command, out, log, child }: Launch, folder: string | null): LaunchState {
  const { exitCode, signalCode } = child;
  const running = exitCode === null && signalCode === null && child.pid !== undefined;
  return {
    ...{
      id,
      command,
      out,
      run: running && !isWriting(out, child.pid) ? null : holds(out, "settings.json") ? folder : null,
      evaluation: holds(out, "metrics.json") ? folder : null,
    },
    running,
    exitCode,
    log: tail(log),
  };
}

const holds = (folder: string, name: string): boolean => existsSync(join(folder, name));

function isWriting(run: string, pid: number | undefined): boolean {
  const holder = runHolder(run);
  return holder.kind === "alive" && holder.pid === pid;
}

function tail(path: string): string {
  if (!existsSync(path)) return "";
  const text = statSync(path).size > 8 << 20 ? "" : readFileSync(path, "utf8");
  // Progress that rewrites its line is shown as it last stood.
  return text
    .slice(-LOG_SHOWN)
    .split("\n")
    .map((line) => line.split("\r").at(-1)!)
    .join("\n");
}
