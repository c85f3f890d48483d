// start.mjs: starts processes of one program that print one JSON object each, as ranks of one world or each for itself.
import { spawn } from "node:child_process";
import { createServer } from "node:net";

/** @returns what each printed, in the order of ranks */
export async function startRanks(program, work, count) {
  if (count === 1) return startAlone(program, work, 1);
  const port = await freePort();
  return Promise.all(
    Array.from({ length: count }, (_, rank) =>
      start(program, work, { RANK: rank, WORLD_SIZE: count, LOCAL_WORLD_SIZE: count, MASTER_PORT: port }),
    ),
  );
}

export const startAlone = (program, work, count) =>
  Promise.all(Array.from({ length: count }, () => start(program, work, {})));

function start(program, work, variables) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, JSON.stringify(work)], {
      env: { ...process.env, MASTER_ADDR: "127.0.0.1", ...variables },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.on("close", (code) =>
      code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`exit code ${code}`)),
    );
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
