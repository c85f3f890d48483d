/** `camelid serve` and `camelid chat` as people start them: the build, in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { builtProgram } from "../cli/camelid.js";

export interface CamelidProcess extends AsyncDisposable {
  child: ChildProcess;
  out(): string;
  err(): string;
  /** Waits until stdout and stderr together hold it. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
}

export function startCamelid(words: string[], env: Record<string, string> = {}): CamelidProcess {
  const child = spawn(process.execPath, [builtProgram, ...words, "--threads", "1"], {
    env: { ...process.env, CAMELID_API_KEY: "", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  const listeners = new Set<() => void>();
  child.stdout.on("data", (chunk) => {
    out += chunk;
    for (const listener of listeners) listener();
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
    for (const listener of listeners) listener();
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal!));
  });
  return {
    ...{ child, ended },
    out: () => out,
    err: () => err,
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(out) ?? pattern.exec(err);
          if (found === null) return;
          listeners.delete(look);
          resolve(found);
        };
        listeners.add(look);
        look();
        void ended.then((code) => reject(new Error(`it ended with ${code} and said\n${out}${err}`)));
      }),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
