/** A thread that runs programs one after the other, each in an interpreter of its own. */
import { parentPort, workerData } from "node:worker_threads";
import { type ProgramRun, runProgram } from "./run-program.js";
import type { ProgramVerdict } from "./verdict.js";
import type { WasmModule } from "./web-assembly.js";

export interface SandboxWorkerData {
  readonly module: WasmModule;
  readonly memoryBytes: number;
}

export type SandboxReply = { readonly started: true } | { readonly verdict: ProgramVerdict };

const { module, memoryBytes } = workerData as SandboxWorkerData;
parentPort!.on("message", (run: ProgramRun) => {
  const verdict = runProgram(module, run, memoryBytes, () =>
    parentPort!.postMessage({ started: true } satisfies SandboxReply),
  );
  parentPort!.postMessage({ verdict } satisfies SandboxReply);
});
