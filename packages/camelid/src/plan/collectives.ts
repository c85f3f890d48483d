/**
 * Seconds and bytes of collective operations. NCCL sends in rings, or in trees where messages are short
 * (https://developer.nvidia.com/blog/massively-scale-deep-learning-training-nccl-2-4/), and so that every device's network card
 * carries its part; Gloo all-reduces in one ring, reduces in a ring and then gathers, and broadcasts along a binomial tree
 * (https://github.com/pytorch/gloo: allreduce.cc, reduce.cc, broadcast.cc).
 */
import { nodesOf, type Topology } from "./topology.js";

export type CollectiveKind = "allReduce" | "reduce" | "broadcast";

export interface Message {
  kind: CollectiveKind;
  /** Of the tensor: what every rank puts in, or gets out. */
  bytes: number;
}

/** Seconds until every rank has its result. */
export function messageSeconds({ kind, bytes }: Message, topology: Topology): number {
  if (topology.devices === 1) return 0;
  return topology.backend === "gloo"
    ? glooSeconds(kind, bytes, topology)
    : ncclSeconds(kind, bytes, topology);
}

function ncclSeconds(kind: CollectiveKind, bytes: number, topology: Topology): number {
  const { devices, devicesPerNode, linkBytes, networkBytes, linkLatency, networkLatency } = topology;
  const nodes = nodesOf(topology);
  // As many rings as a node has cards: each crosses to the next node by a card of its own.
  const ringBytes = nodes === 1 ? linkBytes : Math.min(linkBytes, networkBytes * devicesPerNode);
  const around = (devices - nodes) * linkLatency + (nodes === 1 ? 0 : nodes * networkLatency);
  // Once around, in pieces that follow each other.
  if (kind !== "allReduce") return bytes / ringBytes + around;
  const ring = (2 * ((devices - 1) / devices) * bytes) / ringBytes + 2 * around;
  const down = (devicesPerNode - 1) * linkLatency + Math.ceil(Math.log2(nodes)) * networkLatency;
  const tree = (2 * bytes) / ringBytes + 2 * down;
  return Math.min(ring, tree);
}

function glooSeconds(kind: CollectiveKind, bytes: number, topology: Topology): number {
  const { devices, linkBytes, networkBytes, sumBytes, linkLatency, networkLatency } = topology;
  const isFar = nodesOf(topology) > 1;
  // A ring is as fast as its slowest link.
  const speed = isFar ? Math.min(linkBytes, networkBytes) : linkBytes;
  const latency = isFar ? networkLatency : linkLatency;
  if (kind === "broadcast") return Math.ceil(Math.log2(devices)) * (bytes / speed + latency);
  const others = ((devices - 1) / devices) * bytes;
  if (kind === "allReduce") return (2 * others) / speed + others / sumBytes + 2 * (devices - 1) * latency;
  const ring = glooReduceRing(bytes, devices);
  return (ring + others) / speed + ring / sumBytes + devices * latency;
}

/**
 * Bytes that each rank sends in the ring of Gloo's reduce: all segments but two, where all but its own would do. A segment is 1 MiB at
 * most, and there are at least two for each rank. (Seen on the wire: benchmarks/plan.)
 */
function glooReduceRing(bytes: number, devices: number): number {
  const least = Math.max(Math.ceil(bytes / 2 ** 20), 2 * devices);
  const segments = Math.ceil(least / devices) * devices;
  return ((segments - 2) / segments) * bytes;
}

/** Bytes that all ranks together send. */
export function bytesOnLinks(
  { kind, bytes }: Message,
  devices: number,
  backend: Topology["backend"],
): number {
  const once = (devices - 1) * bytes;
  switch (kind) {
    case "allReduce":
      return 2 * once;
    case "broadcast":
      return once;
    case "reduce":
      return backend === "gloo" ? devices * glooReduceRing(bytes, devices) + once / devices : once;
  }
}
