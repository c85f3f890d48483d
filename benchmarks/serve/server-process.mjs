// `camelid serve` in a process of its own, and what can be read of it from outside.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));

/** Starts it on a free port. @returns its address, process and ways to ask and end it */
export async function startServerProcess(model, { threads, settings = [], nodeFlags = [] }) {
  const child = spawn(
    process.execPath,
    [
      ...[...nodeFlags, program, "serve", "--model", model, "--name", "bench", "--port", "0"],
      ...["--threads", String(threads), ...settings],
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, OMP_NUM_THREADS: String(threads) } },
  );
  const errors = [];
  child.stderr.on("data", (chunk) => errors.push(String(chunk)));
  const exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  const url = await new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (chunk) => {
      if (said.length < 1e5) said += chunk;
      const found = /ready +(\S+)\/v1/.exec(said);
      if (found) resolve(found[1]);
    });
    exited.then((code) => reject(new Error(`the server ended with code ${code}: ${errors.join("")}`)));
  });
  return {
    url,
    pid: child.pid,
    /** What it wrote to stderr. */
    errors: () => errors.join(""),
    rssBytes: () =>
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]) * 1024,
    /** Values of /metrics by name, labels left out. */
    async metrics() {
      const text = await (await fetch(`${url}/metrics`)).text();
      const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      return Object.fromEntries(
        lines
          .filter((line) => !line.includes("le="))
          .map((line) => [/^\w+/.exec(line)[0], Number(line.split(" ").at(-1))]),
      );
    },
    /** @returns the exit code */
    async stop() {
      child.kill("SIGTERM");
      return exited;
    },
  };
}
