/** Small training runs as processes that can be broken, and what has to be equal when a broken one was continued. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listCheckpoints, readRun, verifyCheckpoint } from "camelid";
import { builtProgram } from "../cli/camelid.js";

export { builtProgram };

const breakFiles = fileURLToPath(new URL("break-files.mjs", import.meta.url));

/** What the run is told to suffer; see break-files.mjs. */
export interface Faults {
  FAULT_KILL_AT?: number;
  FAULT_DISK_BYTES?: number;
  FAULT_READ_ONLY_AT?: number;
}

export interface Ended {
  /** Exit code; undefined when a signal ended the process. */
  code: number | undefined;
  signal: string | undefined;
  text: string;
}

/** Runs the built command on one thread. */
export function train(words: readonly string[], faults: Faults = {}): Promise<Ended> {
  const options = Object.keys(faults).length > 0 ? ["--import", breakFiles] : [];
  const variables = Object.entries(faults).map(([name, value]) => [name, String(value)]);
  const env = { ...process.env, ...Object.fromEntries(variables) };
  return new Promise((resolve) => {
    execFile(process.execPath, [...options, builtProgram, ...words], { env }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : undefined;
      resolve({ code, signal: error?.signal ?? undefined, text: out + err });
    });
  });
}

/** Everything about a run that a stop in between must not change: numbers of every step, rows, weights, optimizer. */
export async function traceOf(run: string) {
  const { steps, status } = await readRun(run);
  const [newest] = listCheckpoints(run);
  return {
    status,
    steps: steps.map(({ step, loss, lr, grad_norm, trained_tokens, sources }) => ({
      ...{ step, loss, lr, grad_norm, trained_tokens, sources },
    })),
    final: fileHash(join(run, "final", "model.safetensors")),
    checkpoint: newest?.step,
    ...Object.fromEntries(
      ["model", "optimizer", "random"].map((name) => [
        name,
        newest && fileHash(join(newest.path, `${name}.safetensors`)),
      ]),
    ),
  };
}

/** What must hold at every moment: what has the name of a checkpoint is complete, and the record can be read. */
export async function expectNothingHalf(run: string): Promise<void> {
  if (existsSync(join(run, "settings.json"))) await readRun(run);
  for (const { path } of listCheckpoints(run)) await verifyCheckpoint(path); // throws
}

/** Names and contents of everything in a folder. */
export function folderHashes(folder: string): Record<string, string | undefined> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const path = join(folder, name);
      return [name, statSync(path).isFile() ? fileHash(path) : "folder"];
    }),
  );
}

function fileHash(path: string): string | undefined {
  return existsSync(path) ? createHash("sha256").update(readFileSync(path)).digest("hex") : undefined;
}
