/**
 * The whole of the world that a program sees: arguments, an input, an output, a clock, and pseudo-random bytes. Every
 * other call of WASI is answered "no such capability". There are no files (the standard library is inside the binary), no
 * environment, no sockets, no processes, and no value of this JavaScript heap crosses over: only numbers, and bytes copied
 * out of and into the program's own memory.
 *
 * It stands in the place of `node:wasi`, whose documentation says not to run untrusted code with it.
 * @see WASI preview 1, https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
 */
import { type WasmImports, type WasmMemory, type WasmModule, webAssembly } from "./web-assembly.js";

/** Why a program is over, thrown through its frames. */
export class ProgramEnd extends Error {
  constructor(
    readonly how: "report" | "exit" | "output-flood",
    readonly exitCode = 0,
  ) {
    super(how);
  }
}

/** Letters behind the marker: what the driver says. */
export const REPORTS = {
  P: "provisional",
  C: "passed",
  F: "failed",
  M: "memory",
  X: "exited",
  T: "tampered",
} as const;

export interface HostState {
  /** Everything printed so far, at most `outputBytes`. */
  readonly output: Uint8Array;
  outputLength: number;
  /** What the driver reported last. */
  report: { letter: keyof typeof REPORTS; text: string } | undefined;
}

export interface HostOptions {
  readonly args: readonly string[];
  readonly input: Uint8Array;
  /** A write that begins with this is a report. */
  readonly marker: Uint8Array;
  readonly outputBytes: number;
  /** Called once, when the program's input is first read: the interpreter is up. */
  onStart(): void;
}

const OK = 0;
const BAD_FILE = 8; // EBADF
const INVALID = 28; // EINVAL
const NO_SEEK = 70; // ESPIPE
const NOT_CAPABLE = 76; // ENOTCAPABLE

/** @param memory read anew at each call: it moves when it grows */
export function wasiHost(
  module: WasmModule,
  options: HostOptions,
  memory: () => WasmMemory,
): { imports: WasmImports; state: HostState } {
  const state: HostState = {
    output: new Uint8Array(options.outputBytes),
    outputLength: 0,
    report: undefined,
  };
  const view = () => new DataView(memory().buffer);
  const bytes = (at: number, length: number) => new Uint8Array(memory().buffer, at >>> 0, length >>> 0);
  const args = options.args.map((arg) => new TextEncoder().encode(`${arg}\0`));
  let inputRead = 0;
  let started = false;
  let randomState = 0x9e3779b9;

  const calls: Record<string, (...numbers: never[]) => number> = {
    args_sizes_get(count: number, size: number) {
      view().setUint32(count, args.length, true);
      view().setUint32(
        size,
        args.reduce((sum, arg) => sum + arg.length, 0),
        true,
      );
      return OK;
    },
    args_get(pointers: number, buffer: number) {
      let at = buffer;
      args.forEach((arg, i) => {
        view().setUint32(pointers + 4 * i, at, true);
        bytes(at, arg.length).set(arg);
        at += arg.length;
      });
      return OK;
    },
    environ_sizes_get(count: number, size: number) {
      view().setUint32(count, 0, true);
      view().setUint32(size, 0, true);
      return OK;
    },
    environ_get: () => OK,
    clock_res_get(_clock: number, result: number) {
      view().setBigUint64(result, 1000n, true);
      return OK;
    },
    clock_time_get(clock: number, _precision: bigint, result: number) {
      const ms = clock === 0 ? Date.now() : performance.now();
      view().setBigUint64(result, BigInt(Math.round(ms * 1000)) * 1000n, true);
      return OK;
    },
    // The same bytes every time: hash seeds and unseeded `random` make no verdict differ between two runs.
    random_get(at: number, length: number) {
      const target = bytes(at, length);
      for (let i = 0; i < target.length; i++) {
        randomState ^= randomState << 13;
        randomState ^= randomState >>> 17;
        randomState ^= randomState << 5;
        target[i] = randomState >>> 8;
      }
      return OK;
    },
    fd_fdstat_get(fd: number, result: number) {
      if (fd > 2) return BAD_FILE;
      bytes(result, 24).fill(0);
      view().setUint8(result, 2); // a character device
      view().setBigUint64(result + 8, fd === 0 ? 2n : 64n, true); // may be read; may be written
      return OK;
    },
    fd_filestat_get(fd: number, result: number) {
      if (fd > 2) return BAD_FILE;
      bytes(result, 64).fill(0);
      view().setUint8(result + 16, 2);
      return OK;
    },
    fd_prestat_get: () => BAD_FILE, // nothing is opened beforehand
    fd_close: (fd: number) => (fd > 2 ? BAD_FILE : OK),
    fd_seek: () => NO_SEEK,
    fd_tell: () => NO_SEEK,
    fd_read(fd: number, vectors: number, count: number, result: number) {
      if (fd !== 0) return BAD_FILE;
      if (!started) {
        started = true;
        options.onStart();
      }
      let total = 0;
      for (let i = 0; i < count && inputRead < options.input.length; i++) {
        const at = view().getUint32(vectors + 8 * i, true);
        const room = view().getUint32(vectors + 8 * i + 4, true);
        const piece = options.input.subarray(inputRead, inputRead + room);
        bytes(at, piece.length).set(piece);
        inputRead += piece.length;
        total += piece.length;
      }
      view().setUint32(result, total, true);
      return OK;
    },
    fd_write(fd: number, vectors: number, count: number, result: number) {
      if (fd !== 1 && fd !== 2) return BAD_FILE;
      let total = 0;
      for (let i = 0; i < count; i++) {
        const at = view().getUint32(vectors + 8 * i, true);
        const length = view().getUint32(vectors + 8 * i + 4, true);
        if (i === 0 && isReport(bytes(at, length))) {
          if (state.report!.letter !== "P") throw new ProgramEnd("report");
        } else {
          if (state.outputLength + length > options.outputBytes) throw new ProgramEnd("output-flood");
          state.output.set(bytes(at, length), state.outputLength);
          state.outputLength += length;
        }
        total += length;
      }
      view().setUint32(result, total, true);
      return OK;
    },
    // Sleeping: one subscription to a clock. Sockets and files cannot become ready, there are none.
    poll_oneoff(subscriptions: number, events: number, count: number, result: number) {
      if (count !== 1 || view().getUint8(subscriptions + 8) !== 0) return INVALID;
      const absolute = (view().getUint16(subscriptions + 40, true) & 1) === 1;
      let ms = Number(view().getBigUint64(subscriptions + 24, true)) / 1e6;
      if (absolute) ms -= view().getUint32(subscriptions + 16, true) === 0 ? Date.now() : performance.now();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(0, ms));
      bytes(events, 32).fill(0);
      bytes(events, 8).set(bytes(subscriptions, 8));
      view().setUint32(result, 1, true);
      return OK;
    },
    sched_yield: () => OK,
    proc_exit(code: number) {
      throw new ProgramEnd("exit", code);
    },
  };

  function isReport(written: Uint8Array): boolean {
    const { marker } = options;
    if (written.length <= marker.length) return false;
    for (let i = 0; i < marker.length; i++) if (written[i] !== marker[i]) return false;
    const text = new TextDecoder().decode(written.slice(marker.length));
    state.report = { letter: text[0] as keyof typeof REPORTS, text: text.slice(1).trimEnd() };
    return true;
  }

  const functions: Record<string, (...numbers: never[]) => number> = {};
  for (const { name } of webAssembly.Module.imports(module))
    functions[name] = calls[name] ?? (() => NOT_CAPABLE);
  return { imports: { wasi_snapshot_preview1: functions }, state };
}
