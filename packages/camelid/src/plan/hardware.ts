/** What runs are planned for: published figures of devices, or this machine as it is. */
import { totalmem } from "node:os";
import * as torch from "@camelid/torch";

export interface Hardware {
  name: string;
  memoryBytes: number;
  /** Dense bf16 arithmetic a second; undefined on this machine, where passes were measured. */
  flops: number | undefined;
  /** Bytes a second that its memory delivers; undefined on this machine. */
  memoryBandwidth: number | undefined;
  /** Bytes a second between devices of one node, each way, and between nodes for each device. */
  linkBytes: number;
  networkBytes: number;
  /** Undefined where one node has as many as are asked for: processes on this machine. */
  devicesPerNode: number | undefined;
}

const GB = 1e9;

/** Vendors' figures: memory in GB and its GB a second, dense bf16 TFLOP/s, GB a second of NVLink (or PCIe) each way. */
const gpu = (name: string, memory: number, bandwidth: number, tflops: number, link: number): Hardware => ({
  name,
  memoryBytes: memory * GB,
  flops: tflops * 1e12,
  memoryBandwidth: bandwidth * GB,
  linkBytes: link * GB,
  networkBytes: 50 * GB, // 400 Gb/s for each GPU
  devicesPerNode: 8,
});

const GPUS: readonly Hardware[] = [
  gpu("h200", 141, 4800, 989, 450),
  gpu("h100", 80, 3350, 989, 450),
  gpu("a100-80gb", 80, 2039, 312, 300),
  gpu("a100-40gb", 40, 1555, 312, 300),
  gpu("l40s", 48, 864, 362, 32),
  gpu("rtx-5090", 32, 1792, 209, 32),
  gpu("rtx-4090", 24, 1008, 165, 32),
  gpu("rtx-3090", 24, 936, 71, 32),
];

export const hardwareNames: readonly string[] = ["here", ...GPUS.map(({ name }) => name)];

/** @returns undefined for a name that is not in the list */
export function findHardware(name: string): Hardware | undefined {
  if (name === "here") return thisMachine();
  return GPUS.find((one) => one.name === name);
}

function thisMachine(): Hardware {
  const device = torch.installation().devices[1];
  if (device?.startsWith("cuda") === true) {
    // A few operations make the device known; its own memory figure is in the driver.
    return { ...gpu("here", 80, 1, 1, 32), name: device, flops: undefined, memoryBandwidth: undefined };
  }
  return {
    name: "this machine",
    memoryBytes: totalmem(),
    flops: undefined,
    memoryBandwidth: undefined,
    linkBytes: 2 * GB, // Gloo through loopback; benchmarks/plan measures it
    networkBytes: 1.25 * GB,
    devicesPerNode: undefined,
  };
}

/** Share of a device's peak that training reaches where nothing was measured. */
export const ASSUMED_SHARE = 0.4;
