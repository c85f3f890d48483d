/** libtorch for TypeScript. Knows nothing of language models. */
// Tensors

// Gradients
export {
  backward,
  type CustomFunction,
  customFunction,
  enableGrad,
  grad,
  isGradEnabled,
  noGrad,
  onGradient,
} from "./autograd.js";
// Any operator at all, and errors
export { callOperator } from "./call-operator.js";
export { fromBytes, type NestedNumbers, type NumericArray, type TensorOptions, tensor } from "./create.js";
export {
  canRecordGraphs,
  type DeviceGraph,
  hostScalar,
  recordGraph,
  withoutWaiting,
} from "./device-graph.js";
// Several processes
export {
  type Collective,
  type GroupSettings,
  joinGroup,
  type ProcessGroup,
  type Reduction,
} from "./distributed.js";
export { type Device, type DType, elementSize, isFloatingPoint } from "./dtype.js";
export {
  DistributedError,
  InstallationError,
  LifetimeError,
  NativeError,
  SafetensorsError,
  TorchError,
} from "./errors.js";
export * from "./generated/functions.js";
// Lifetime
export { leakReport } from "./handle.js";
// Host memory for what a device does not need yet
export { type HostCopy, moveToHost } from "./offload.js";
// Where the time goes
export {
  chromeTrace,
  type OperatorCost,
  operatorCosts,
  type ProfileEvent,
  profile,
  type Recorded,
  type Recording,
  span,
  startProfile,
} from "./profile.js";
// The process: threads, random numbers, memory, devices
export {
  cudaKernels,
  emptyCache,
  getNumThreads,
  getRandomState,
  heapStats,
  installation,
  type MemoryStats,
  manualSeed,
  memoryStats,
  resetPeakMemory,
  setNumThreads,
  setRandomState,
  synchronize,
  useCudaKernels,
} from "./runtime.js";
// Files
export { readSafetensors, type SafetensorsFile, safetensorsEntry, writeSafetensors } from "./safetensors.js";
export { SAFETENSORS_DTYPES, type SafetensorsDType, type SafetensorsHeader } from "./safetensors-format.js";
export { readSafetensorsHeader } from "./safetensors-reader.js";
export { type SafetensorsEntry, writeSafetensorsFile } from "./safetensors-writer.js";
export { outsideScopes, TensorScope } from "./scope.js";
export { dropStorage, takeStorage } from "./storage.js";
export { Tensor, tensorScope } from "./tensor.js";
