/** Threads, random state, memory and devices: the process-wide side of libtorch. */
import type { Device } from "./dtype.js";
import { type NativeHeapStats, type NativeInstallation, type NativeMemoryStats, native } from "./native.js";
import { type Binding, findBinding } from "./setup/binding.js";
import { findNvrtc } from "./setup/nvrtc.js";
import type { Tensor } from "./tensor.js";
import { wrap } from "./wrap.js";

/** Seeds the generators of every device. @param seed an integer from 0 to 2^53 - 1; 0 is a seed like any other */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`manualSeed: ${seed} is not an integer from 0 to 2^53 - 1`);
  native.manualSeed(seed);
}

/** The generator's full state as a uint8 tensor; storing and restoring it continues the same stream. */
export function getRandomState(device: Device = "cpu"): Tensor {
  return wrap(native.getRandomState(device));
}

export function setRandomState(state: Tensor, device: Device = "cpu"): void {
  native.setRandomState(device, state.handle);
}

/** Threads that one operator uses on the CPU. */
export function setNumThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`setNumThreads: ${count} is not a positive integer`);
  native.setNumThreads(count);
}

export function getNumThreads(): number {
  return native.getNumThreads();
}

export interface MemoryStats extends NativeMemoryStats {
  /** Tensors that this thread holds handles to. */
  liveTensors: number;
}

/**
 * Bytes in live tensors, their peak, and what the allocator holds for reuse (`reservedBytes` includes the live ones).
 * CPU counts cover this process; an accelerator's are libtorch's own counters of that device.
 */
export function memoryStats(device: Device = "cpu"): MemoryStats {
  const stats = device === "cpu" ? native.memoryStats() : native.deviceMemory(device);
  return { ...stats, liveTensors: native.liveTensors() };
}

/**
 * What the C library's heap has taken from the system, free or not, and what of it are tensors of less than a megabyte; zero
 * where the library does not say (only glibc from 2.33 on does).
 */
export function heapStats(): NativeHeapStats {
  return native.heapStats();
}

/** Peaks start again from what is live now (CPU). */
export function resetPeakMemory(): void {
  native.resetPeakMemory();
}

/** Gives cached CPU blocks back to the system. */
export function emptyCache(): void {
  native.emptyCache();
}

/** Waits until a device has finished what it was given. The CPU always has. */
export function synchronize(device: Device): void {
  native.synchronize(device);
}

/**
 * Whether fused operators and NF4 use our own CUDA kernels on a GPU, or libtorch's operators; for measuring one against the other.
 * CAMELID_CUDA_KERNELS=0 in the environment turns them off from the start. Without a GPU they are off and stay off.
 * @returns whether they were on
 */
export function useCudaKernels(on: boolean): boolean {
  return native.useKernels(on);
}

/** @returns whether our CUDA kernels are on, and why those that are on could not be used, if anything failed yet */
export function cudaKernels(): { on: boolean; problem: string | undefined } {
  const { on, problem } = native.kernelState();
  return { on, problem: problem || undefined };
}

/** Which libtorch this is, where it was found, what the binding was built with, and what can be used. */
export function installation(): NativeInstallation & {
  devices: Device[];
  binding: Binding;
  /** What of the binding's CUDA part is loaded. */
  cudaParts: readonly ("graphs" | "nccl")[];
  /** NVRTC, which compiles our CUDA kernels; none where there is no CUDA, or none was found. */
  kernelCompiler: string | undefined;
} {
  const report = native.installation();
  const binding = findBinding();
  const cuda = Array.from({ length: report.cudaDevices }, (_, i) => `cuda:${i}`);
  return {
    ...report,
    devices: ["cpu", ...cuda, ...(report.mps ? ["mps"] : [])],
    binding,
    cudaParts: native.cudaParts(),
    kernelCompiler: cuda.length > 0 ? findNvrtc(binding.libtorch).at(-1) : undefined,
  };
}
