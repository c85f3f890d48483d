/** How devices are joined: nodes, the links inside and between them, and who carries messages over these. */
import { SettingsError } from "../errors.js";
import type { Hardware } from "./hardware.js";

export interface Topology {
  devices: number;
  devicesPerNode: number;
  /** Bytes a second that messages reach inside a node, and between nodes for each device; each way. */
  linkBytes: number;
  networkBytes: number;
  /** Seconds that a message takes from one device to the next, however short it is. */
  linkLatency: number;
  networkLatency: number;
  /** Bytes a second that a rank adds up on the way: what Gloo spends most time on. NCCL adds faster than links bring. */
  sumBytes: number;
  /** Gloo between processes on CPUs, NCCL between GPUs. */
  backend: "gloo" | "nccl";
  /** Whether messages travel while devices compute. Processes that share a CPU's cores carry them with these cores. */
  overlaps: boolean;
}

/** What a user says of the cluster; speeds in bytes a second, as stated by vendors or measured. */
export interface StatedLinks {
  devicesPerNode?: number;
  linkBytes?: number;
  networkBytes?: number;
  sumBytes?: number;
  /** Seconds. */
  latency?: number;
}

/** Collectives reach this share of what a vendor states for a link. Speeds that a user states are taken as they are. */
export const LINK_SHARE = 0.8;

/** Seconds from device to device by NVLink and by InfiniBand, of a small message in a collective; by Gloo through a socket. */
const NCCL_LINK = 3e-6;
const NCCL_NETWORK = 8e-6;
const GLOO_MESSAGE = 1e-4;
/** Bytes a second at which Gloo adds bf16 on one core (benchmarks/plan). */
const GLOO_SUM = 0.4e9;

/** More devices are not planned for: other ways to split a model come first there. */
export const MOST_DEVICES = 4096;

/**
 * @throws {SettingsError} `ERR_PLAN_TOPOLOGY` for devices that are no whole number, too many, or do not fill whole nodes
 */
export function topologyOf(hardware: Hardware, devices: number, stated: StatedLinks = {}): Topology {
  checkCount(devices, "--devices");
  const devicesPerNode = stated.devicesPerNode ?? hardware.devicesPerNode ?? devices;
  checkCount(devicesPerNode, "--devices-per-node");
  if (devices > devicesPerNode && devices % devicesPerNode !== 0) {
    const [fewer, more] = [Math.floor, Math.ceil].map((round) => round(devices / devicesPerNode));
    throw new SettingsError(
      "ERR_PLAN_TOPOLOGY",
      `${devices} devices do not fill nodes of ${devicesPerNode}.`,
      {
        where: "--devices, --devices-per-node",
        fix: `use ${fewer! * devicesPerNode} or ${more! * devicesPerNode} devices, or say how many a node has.`,
      },
    );
  }
  const isGpu = hardware.flops !== undefined;
  return {
    devices,
    devicesPerNode: Math.min(devicesPerNode, devices),
    linkBytes: stated.linkBytes ?? hardware.linkBytes * (isGpu ? LINK_SHARE : 1),
    networkBytes: stated.networkBytes ?? hardware.networkBytes * (isGpu ? LINK_SHARE : 1),
    linkLatency: stated.latency ?? (isGpu ? NCCL_LINK : GLOO_MESSAGE),
    networkLatency: stated.latency ?? (isGpu ? NCCL_NETWORK : GLOO_MESSAGE),
    sumBytes: stated.sumBytes ?? (isGpu ? Number.POSITIVE_INFINITY : GLOO_SUM),
    backend: isGpu ? "nccl" : "gloo",
    overlaps: isGpu,
  };
}

function checkCount(count: number, where: string): void {
  if (Number.isInteger(count) && count >= 1 && count <= MOST_DEVICES) return;
  throw new SettingsError(
    "ERR_PLAN_TOPOLOGY",
    `${count} is not a number of devices from 1 to ${MOST_DEVICES}.`,
    {
      where,
      fix: "give whole numbers, such as --devices 64 --devices-per-node 8.",
    },
  );
}

export const nodesOf = ({ devices, devicesPerNode }: Topology): number => devices / devicesPerNode;

/**
 * Counts that are worth a look: doublings inside a node, then whole nodes.
 * @returns ascending, up to `most`
 */
export function usualCounts(devicesPerNode: number, most: number): number[] {
  const inside = [1, 2, 4, 8, 16, 32, 64].filter((count) => count < devicesPerNode);
  const nodes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128].map((count) => count * devicesPerNode);
  return [...inside, ...nodes].filter((count) => count <= most);
}
