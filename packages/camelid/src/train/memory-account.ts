/**
 * Where the memory of a run went: the process's resident peak, taken apart into tensors by their part, the allocator, the program
 * and what lies in JavaScript and in the C library's heap. What no part explains is told as such.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { MemoryPart } from "../run/events.js";
import { readProcessMemory } from "../run/process-memory.js";
import type { Adamw } from "./optim/adamw.js";

export interface AccountedRun {
  parameters: ReadonlyMap<string, Tensor>;
  optimizer: Pick<Adamw, "state">;
  /** Gradients are used and freed as they come. */
  optimizerInBackward: boolean;
}

export class MemoryAccount {
  readonly #run: AccountedRun;
  // The most of each, seen between two steps: tensors of a pass are gone then, but what they lay in is kept.
  #atRest = 0;
  #files = 0;
  #heap = 0;
  #javascript = 0;

  constructor(run: AccountedRun) {
    this.#run = run;
  }

  /** To be called between two steps. */
  look(): void {
    const { heapBytes, smallTensorBytes } = torch.heapStats();
    this.#atRest = Math.max(this.#atRest, torch.memoryStats().liveBytes);
    this.#files = Math.max(this.#files, readProcessMemory().fileBytes);
    this.#heap = Math.max(this.#heap, heapBytes - smallTensorBytes);
    this.#javascript = Math.max(this.#javascript, process.memoryUsage().heapTotal);
  }

  /** @returns the resident peak of the process and its parts, which add up to it: `unexplained` may be below zero */
  result(): { peakBytes: number; parts: MemoryPart[] } {
    this.look();
    const { parameters, optimizer, optimizerInBackward } = this.#run;
    const { peakBytes: tensors, peakReservedBytes: reserved } = torch.memoryStats();
    const state = [...optimizer.state()];
    const masters = bytesOf(state.filter(([name]) => name.startsWith("master.")));
    const moments = bytesOf(state) - masters;
    const trained = [...parameters].filter(([, { requiresGrad }]) => requiresGrad);
    const gradients = optimizerInBackward ? 0 : bytesOf(trained);
    const parts = [
      { name: "weights", bytes: this.#atRest - masters - moments },
      { name: "fp32 masters of weights", bytes: masters },
      { name: "moments of the optimizer", bytes: moments },
      { name: "gradients", bytes: Math.min(gradients, tensors - this.#atRest) },
      {
        name: "activations and what else a step makes",
        bytes: Math.max(0, tensors - this.#atRest - gradients),
      },
      { name: "kept by the allocator for tensors of other sizes", bytes: reserved - tensors },
      { name: "program, libraries, mapped weights", bytes: this.#files },
      { name: "heap of JavaScript", bytes: this.#javascript },
      { name: "heap of the libraries: rows, tokenizer, kernels, graphs", bytes: this.#heap },
    ].filter(({ bytes }) => bytes > 0);
    const { peakBytes } = readProcessMemory();
    const explained = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    return { peakBytes, parts: [...parts, { name: "unexplained", bytes: peakBytes - explained }] };
  }
}

const bytesOf = (tensors: readonly (readonly [string, Tensor])[]): number =>
  tensors.reduce((sum, [, { numel, dtype }]) => sum + numel * torch.elementSize(dtype), 0);
