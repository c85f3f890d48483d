/** A page of the documentation as something to execute: its fenced blocks, in order. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

export interface Block {
  /** `sh`, or the language of a file. */
  language: string;
  /** A file's name; of `sh`, what it needs: `demo`, `server`, `llama.cpp`. */
  label: string | undefined;
  text: string;
}

export function blocksOf(page: string): Block[] {
  const fences = readFileSync(page, "utf8").matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm);
  return [...fences].map(([, language, label, text]) => ({ language: language!, label, text: text! }));
}

/** Runs a block as bash would, in `folder`. @throws when a command of it fails, with all that was said */
export function runBlock(text: string, folder: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", ["-euo", "pipefail", "-c", text], {
      cwd: folder,
      env: { ...process.env, ...env },
    });
    let [out, all] = ["", ""];
    child.stdout.on("data", (chunk) => {
      out += chunk;
      all += chunk;
    });
    child.stderr.on("data", (chunk) => {
      all += chunk;
    });
    child.on("close", (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${text}\nended with ${code} and said\n${all}`)),
    );
  });
}

export interface RunningBlock {
  /** Ctrl+C in its terminal. @returns what it said until its end */
  interrupt(): Promise<string>;
}

/** Starts a block that does not end by itself. Resolves when it says `ready`. */
export function startBlock(
  text: string,
  folder: string,
  env: Record<string, string>,
  ready: RegExp,
): Promise<RunningBlock> {
  const child = spawn("bash", ["-c", text], {
    cwd: folder,
    env: { ...process.env, ...env },
    detached: true, // a group of its own, like the job of a terminal
  });
  let said = "";
  const ended = new Promise<string>((resolve) => child.on("close", () => resolve(said)));
  return new Promise((resolve, reject) => {
    const listen = (chunk: Buffer): void => {
      said += chunk;
      if (!ready.test(said)) return;
      resolve({
        interrupt() {
          process.kill(-child.pid!, "SIGINT");
          return ended;
        },
      });
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    void ended.then(() => reject(new Error(`${text}\nended and said\n${said}`)));
  });
}
