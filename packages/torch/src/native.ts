/** The addon's exports, typed. Everything else in this package speaks to libtorch through this one object. */
import { createRequire } from "node:module";
import { availableParallelism, loadavg } from "node:os";
import { InstallationError, NativeError } from "./errors.js";
import { OPERATORS } from "./generated/operators.js";
import { configureKernels } from "./kernel-sources.js";
import { cudaLibraries, findBinding } from "./setup/binding.js";
import { findNvrtc } from "./setup/nvrtc.js";

/** A tensor on the native side: slot and generation in one small integer. 0 stands for "no tensor". */
export type Handle = number;

export interface NativeMemoryStats {
  liveBytes: number;
  peakBytes: number;
  reservedBytes: number;
  peakReservedBytes: number;
}

/** What the C library's heap holds of the system, on Linux: `smallTensorBytes` of it for tensors. */
export interface NativeHeapStats {
  heapBytes: number;
  smallTensorBytes: number;
}

export interface NativeInstallation {
  version: string;
  cpuCapability: string;
  config: string;
  parallel: string;
  cudaDevices: number;
  mps: boolean;
}

export interface Native {
  setErrorClass(errorClass: new (message: string) => Error): void;
  loadLibrary(path: string): void;
  loadCudaRuntime(path: string): void;
  cudaParts(): ("graphs" | "nccl")[];
  newGraph(device: string): number;
  beginGraph(graph: number): void;
  endGraph(graph: number): void;
  replayGraph(graph: number): void;
  closeGraph(graph: number): void;
  forbidDeviceWaits(forbidden: boolean): void;

  moveToHost(handle: Handle): number;
  prefetchCopy(copy: number): void;
  takeBack(copy: number): Handle;
  dropCopy(copy: number): void;

  /** Gives the operators consecutive numbers and returns the first. */
  registerOperators(names: readonly string[]): number;
  call(operator: number, ...args: unknown[]): unknown;
  schemaOf(name: string): string | null;
  operatorNames(): string[];

  fromBytes(data: NodeJS.TypedArray, shape: readonly number[], dtype: number, device: string): Handle;
  resizeStorage(handle: Handle, bytes: number): void;
  toBytes(handle: Handle, dtype: number, into?: ArrayBuffer): ArrayBuffer;
  forbidHostReads(forbidden: boolean): boolean;
  dataAddress(handle: Handle): number;
  shapeOf(handle: Handle): number[];
  stridesOf(handle: Handle): number[];
  dtypeOf(handle: Handle): number;
  deviceOf(handle: Handle): string;
  bytesOf(handle: Handle): number;
  isContiguous(handle: Handle): boolean;
  alias(handle: Handle): Handle;
  release(handle: Handle): void;
  releaseAll(handles: Int32Array, count: number): void;
  liveTensors(): number;
  adjustExternalMemory(bytes: number): void;

  backward(roots: Handle[], gradients: Handle[], retainGraph: boolean, createGraph: boolean): void;
  grad(
    outputs: Handle[],
    inputs: Handle[],
    gradOutputs: Handle[] | null,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): Handle[];
  recordFunction(
    output: Handle,
    inputs: Handle[],
    backward: (gradOutput: Handle) => Handle[],
    always: boolean,
  ): Handle;
  setGradEnabled(enabled: boolean): boolean;
  isGradEnabled(): boolean;
  requiresGrad(handle: Handle): boolean;
  setRequiresGrad(handle: Handle, requires: boolean): void;
  isLeaf(handle: Handle): boolean;
  gradOf(handle: Handle): Handle;
  setGrad(handle: Handle, gradient: Handle | null): void;
  setGradientHook(handle: Handle, hook: (() => void) | null): void;

  memoryStats(): NativeMemoryStats;
  heapStats(): NativeHeapStats;
  resetPeakMemory(): void;
  emptyCache(): void;
  deviceMemory(device: string): NativeMemoryStats;
  mapTensors(
    path: string,
    entries: [offset: number, bytes: number, shape: readonly number[], dtype: number][],
  ): Handle[];

  setNumThreads(count: number): void;
  getNumThreads(): number;
  manualSeed(seed: number): void;
  getRandomState(device: string): Handle;
  setRandomState(device: string, state: Handle): void;
  synchronize(device: string): void;
  installation(): NativeInstallation;
  startProfile(): void;

  configureKernels(
    compiler: readonly string[],
    driver: string,
    cache: string,
    sources: readonly (readonly [name: string, text: string, key: string])[],
    headers: readonly (readonly [name: string, text: string])[],
    emulated: boolean,
  ): void;
  useKernels(on: boolean): boolean;
  kernelState(): { on: boolean; problem: string };
  compileKernels(name: string, architecture: string): string;

  connectStore(
    host: string,
    port: number,
    isServer: boolean,
    timeoutMs: number,
  ): [store: number, port: number];
  prefixStore(store: number, prefix: string): number;
  storeSet(store: number, key: string, value: string): void;
  storeGet(store: number, key: string): string;
  storeAdd(store: number, key: string, amount: number): number;
  closeStore(store: number): void;
  startWatch(
    host: string,
    port: number,
    prefix: string,
    rank: number,
    size: number,
    patienceMs: number,
  ): void;
  stopWatch(): void;
  watchFailure(): string;
  leave(exitCode: number): never;
  lostRank(): string;
  createGlooGroup(store: number, rank: number, size: number, timeoutMs: number, hostname: string): number;
  createNcclGroup(store: number, rank: number, size: number, timeoutMs: number, device: string): number;
  closeGroup(group: number): void;
  allReduce(group: number, tensor: Handle, op: string): number;
  broadcast(group: number, tensor: Handle, root: number): number;
  reduce(group: number, tensor: Handle, op: string, root: number): number;
  allGather(group: number, output: Handle, input: Handle): number;
  reduceScatter(group: number, output: Handle, input: Handle, op: string): number;
  waitWork(work: number): void;

  /** `events` holds four numbers each: name, thread, start and duration in microseconds. */
  stopProfile(): { names: string[]; events: Float64Array };
}

export const native: Native = load();

function load(): Native {
  setThreadWaiting();
  boundKernelCaches();
  const binding = findBinding();
  let loaded: Native;
  try {
    loaded = createRequire(import.meta.url)(binding.path) as Native;
  } catch (cause) {
    throw new InstallationError("ERR_TORCH_LOAD", `the binding does not load: ${(cause as Error).message}`, {
      where: `${binding.path}, built for libtorch ${binding.version} in ${binding.libtorch}`,
      fix: "run `npx camelid setup`: it finds libtorch again and compiles what is missing.",
      cause,
    });
  }
  loaded.setErrorClass(NativeError);
  // The generated functions count from 0. A second copy would not share scopes and tensors with the first anyway.
  if (loaded.registerOperators(OPERATORS) !== 0) {
    throw new InstallationError(
      "ERR_TORCH_TWICE",
      "two copies of @camelid/torch were loaded in one thread.",
      {
        where: import.meta.url,
        fix: "import it by one path: sources and build are two copies.",
      },
    );
  }
  // The binding itself links the CPU library alone; accelerator libraries register their kernels when they are loaded.
  const { kernels, runtime } = cudaLibraries(binding);
  if (kernels !== undefined) {
    loaded.loadLibrary(kernels);
    configureKernels(loaded, findNvrtc(binding.libtorch));
  }
  if (runtime !== undefined) loaded.loadCudaRuntime(runtime);
  return loaded;
}

/**
 * Threads of libtorch's pool spin a while before they sleep. On a machine of one's own that makes a training step 15 %
 * faster; beside other programs every operator then waits for threads that were put aside, and a step took 8 times as
 * long. So the load decides. libgomp reads this when it is loaded; what the user has set wins.
 */
function setThreadWaiting(): void {
  const { GOMP_SPINCOUNT, OMP_WAIT_POLICY } = process.env;
  if (GOMP_SPINCOUNT !== undefined || OMP_WAIT_POLICY !== undefined) return;
  const [lastMinute = 0] = loadavg();
  if (lastMinute > availableParallelism() / 2) process.env.GOMP_SPINCOUNT = "2000";
}

/**
 * oneDNN keeps a kernel, about half a megabyte, for every shape of a bf16 product it has met, up to a thousand of each kind; a run
 * on rows of all lengths meets new shapes at every step. A step needs some forty. libtorch reads these when it is loaded.
 */
function boundKernelCaches(): void {
  process.env.ONEDNN_PRIMITIVE_CACHE_CAPACITY ??= "64";
  process.env.LRU_CACHE_CAPACITY ??= "64";
}
