/** What a run computes on: device, threads, seed, and how it is told in the run's record. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import type { Device, DType } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { SettingsError } from "../errors.js";
import { aloneInTheWorld } from "../parallel/world.js";
import { camelidVersion } from "../run/version.js";

export interface MachineSettings {
  device: string;
  threads: number | null;
  seed: number;
  precision: "fp32" | "bf16" | "bf16-mixed";
  activationCheckpointing?: boolean;
  activationOffload?: boolean;
}

export interface Machine {
  device: Device;
  /** Dtype of weights and activations. */
  dtype: DType;
  /** fp32 copies of the weights are what the optimizer updates. */
  masterWeights: boolean;
  environment: Record<string, string | number>;
}

/**
 * Chooses the device, sets threads and seeds. Ranks on one machine take a GPU each, or share its cores.
 * @throws {SettingsError} when the device asked for is not there, or has no memory of its own to spare
 */
export function prepareMachine(settings: MachineSettings, world = aloneInTheWorld()): Machine {
  const { devices, version, cpuCapability } = torch.installation();
  const device = chooseDevice(settings.device, devices, world.localRank);
  checkOffload(settings, device);
  torch.setNumThreads(settings.threads ?? Math.max(1, Math.floor(physicalCores() / world.localSize)));
  torch.manualSeed(settings.seed);
  return {
    device,
    dtype: settings.precision === "fp32" ? "float32" : "bfloat16",
    masterWeights: settings.precision === "bf16-mixed",
    environment: {
      device,
      threads: torch.getNumThreads(),
      camelid: camelidVersion(),
      libtorch: version,
      ...(world.group === undefined || device === "cpu" ? {} : { collectives: world.group.backend(device) }),
      cpu: `${cpus()[0]?.model.trim() ?? "unknown"} (${cpuCapability})`,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
    },
  };
}

function checkOffload({ activationOffload, activationCheckpointing }: MachineSettings, device: Device): void {
  if (activationOffload !== true) return;
  if (activationCheckpointing !== true)
    throw new SettingsError(
      "ERR_OFFLOAD_CHECKPOINTING",
      "activationOffload moves what activationCheckpointing keeps; without it nothing would be moved.",
      {
        where: "activationOffload",
        fix: "add --activation-checkpointing, or leave --activation-offload out.",
      },
    );
  if (!device.startsWith("cuda"))
    throw new SettingsError(
      "ERR_OFFLOAD_DEVICE",
      `activationOffload moves activations from a GPU's memory to the host's; on ${device} they are there.`,
      { where: "activationOffload", fix: "leave it out, or train on a CUDA device." },
    );
}

function chooseDevice(wanted: string, devices: readonly Device[], localRank: number): Device {
  const own = devices[1 + localRank];
  if (wanted === "auto" && devices.length === 1) return "cpu";
  const device = wanted === "auto" || wanted === "cuda" ? (own ?? `cuda:${localRank}`) : wanted;
  if (devices.includes(device)) return device;
  throw new SettingsError(
    "ERR_DEVICE",
    `there is no device "${wanted}" here; libtorch sees ${devices.join(", ")}.`,
    {
      where: "device",
      fix: "use one of those, or auto; `camelid doctor` shows why a GPU is not seen.",
    },
  );
}

/** Two threads of one core share its arithmetic units: more threads than cores only get in each other's way. */
function physicalCores(): number {
  try {
    const blocks = readFileSync("/proc/cpuinfo", "utf8").split("\n\n");
    const cores = new Set(
      blocks.flatMap((block) => {
        const core = /^core id\s*: (\d+)$/m.exec(block)?.[1];
        return core === undefined ? [] : [`${/^physical id\s*: (\d+)$/m.exec(block)?.[1]}:${core}`];
      }),
    );
    if (cores.size > 0) return Math.min(cores.size, availableParallelism());
  } catch {
    // Not Linux.
  }
  return availableParallelism();
}
