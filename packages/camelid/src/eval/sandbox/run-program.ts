/** One program in one fresh interpreter, on the calling thread: blocks until it ends. Worker threads call this. */
import { DRIVER } from "./driver.js";
import type { ProgramOutcome, ProgramVerdict } from "./verdict.js";
import { type HostState, ProgramEnd, REPORTS, wasiHost } from "./wasi-host.js";
import { type WasmMemory, type WasmModule, webAssembly } from "./web-assembly.js";

export interface ProgramRun {
  /** Hexadecimal, known to driver and host only. */
  readonly marker: string;
  /** UTF-8 of: marker, LF, byte lengths of the parts, LF, program, test, entry point, prompt, imported modules. */
  readonly input: Uint8Array;
  readonly outputBytes: number;
  readonly timeLimitMs: number;
}

const ENCODER = new TextEncoder();
const ARGS = ["python", "-I", "-S", "-B", "-c", DRIVER];
/** What people see of the output. */
const SHOWN_OUTPUT_BYTES = 4000;

/** @param onStart called when the interpreter is up and the clock starts */
export function runProgram(
  module: WasmModule,
  run: ProgramRun,
  maxMemoryBytes: number,
  onStart: () => void,
): ProgramVerdict {
  let instance: InstanceType<typeof webAssembly.Instance> | undefined;
  let startedAt = performance.now();
  const memory = () => instance!.exports.memory as WasmMemory;
  const { imports, state } = wasiHost(
    module,
    {
      args: ARGS,
      input: run.input,
      marker: ENCODER.encode(run.marker),
      outputBytes: run.outputBytes,
      onStart() {
        startedAt = performance.now();
        onStart();
      },
    },
    memory,
  );
  let end: unknown;
  try {
    instance = new webAssembly.Instance(module, imports);
    (instance.exports._start as () => void)();
  } catch (error) {
    end = error;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const memoryFull = instance !== undefined && memory().buffer.byteLength >= maxMemoryBytes;
  if (seconds * 1000 > run.timeLimitMs) return timedOut(run.timeLimitMs);
  const shown = state.output.subarray(0, Math.min(state.outputLength, SHOWN_OUTPUT_BYTES));
  return { ...judged(end, state, memoryFull), output: new TextDecoder().decode(shown), seconds };
}

export function timedOut(timeLimitMs: number): ProgramVerdict {
  const seconds = timeLimitMs / 1000;
  return { outcome: "timeout", detail: `ran longer than ${seconds} s`, output: "", seconds };
}

function judged(
  end: unknown,
  { report }: HostState,
  memoryFull: boolean,
): { outcome: ProgramOutcome; detail: string } {
  if (end instanceof ProgramEnd) {
    switch (end.how) {
      case "report": {
        const outcome = REPORTS[report!.letter] as ProgramOutcome;
        return { outcome, detail: outcome === "passed" ? "" : report!.text };
      }
      case "output-flood":
        return { outcome: "output-flood", detail: "printed more than it may" };
      case "exit":
        return { outcome: "exited", detail: `ended itself with exit code ${end.exitCode}` };
    }
  }
  if (memoryFull) return { outcome: "memory", detail: "the interpreter ran out of memory" };
  // A trap, a stack overflow, or an interpreter that came to its end without a report.
  const detail =
    end instanceof Error ? `${end.name}: ${end.message}` : "the interpreter ended without a word";
  return { outcome: "crashed", detail };
}
