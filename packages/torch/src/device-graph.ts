/** Work of a GPU that is recorded once and given to it as a whole from then on: nothing of it passes through the host again. */
import type { Device } from "./dtype.js";
import { native } from "./native.js";
import { outsideScopes } from "./scope.js";
import type { Tensor } from "./tensor.js";
import { tensorScope } from "./tensor.js";

export interface DeviceGraph extends Disposable {
  /** What `body` returned: the same memory each time, with the values of the latest `replay`. */
  readonly output: Tensor;
  replay(): void;
}

/** Whether the binding's CUDA part, which records, is loaded. */
export function canRecordGraphs(device: Device): boolean {
  return device.startsWith("cuda") && native.cudaParts().includes("graphs");
}

/**
 * Records what `body` gives a CUDA device. It must have run before, so that whatever is chosen or made at a first call is there; it may
 * not read values, nor move any between host and device, and what it reads must stay where it is as long as the graph lives.
 * @throws {NativeError} where it does something that cannot be recorded, or without the binding's CUDA part
 */
export function recordGraph(device: Device, body: () => Tensor): DeviceGraph {
  const graph = native.newGraph(device);
  let output: Tensor;
  try {
    native.beginGraph(graph);
    try {
      output = outsideScopes(() => tensorScope(body));
    } catch (error) {
      tryEnd(graph);
      throw error;
    }
    native.endGraph(graph);
  } catch (error) {
    native.closeGraph(graph);
    throw error;
  }
  return {
    output,
    replay: () => native.replayGraph(graph),
    [Symbol.dispose]() {
      native.closeGraph(graph);
      output.dispose();
    },
  };
}

/** Ends a recording that failed already: what it says about that is less than what is known. */
function tryEnd(graph: number): void {
  try {
    native.endGraph(graph);
  } catch {}
}

/**
 * Runs `body`, in which nothing may make the host wait for a device: reading the values of any tensor is an error, on every device, and
 * with a CUDA device so is every operator of libtorch that waits for it.
 * @throws {NativeError} where the host would have waited
 */
export function withoutWaiting<T>(body: () => T): T {
  const before = native.forbidHostReads(true);
  if (!before) native.forbidDeviceWaits(true);
  try {
    return body();
  } finally {
    native.forbidHostReads(before);
    if (!before) native.forbidDeviceWaits(false);
  }
}

/** The only element of a tensor in host memory: read without waiting for a device, and so inside `withoutWaiting` too. */
export function hostScalar(tensor: Tensor): number {
  if (tensor.device !== "cpu") throw new RangeError(`hostScalar(): the tensor is on ${tensor.device}`);
  const before = native.forbidHostReads(false);
  try {
    return tensor.item();
  } finally {
    native.forbidHostReads(before);
  }
}
