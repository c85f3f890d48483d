/** Who am I among how many? Read from what launchers set; nothing is started here. */
import { SettingsError } from "../errors.js";

export interface RankInfo {
  /** This process among all, from 0. */
  rank: number;
  /** Processes in all. */
  size: number;
  /** This process among those of its machine: which GPU it takes. */
  localRank: number;
  /** Processes on this machine: how many share its cores. */
  localSize: number;
  /** Where rank 0 listens. */
  host: string;
  port: number;
  /** torchrun's agent hosts the store already. */
  storeIsHosted: boolean;
  /** torchrun counts its restarts; each meets under names of its own. */
  attempt: number;
  /** Whose variables were used, for people. */
  launcher: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_PORT = 29500;

const ALONE: RankInfo = {
  rank: 0,
  size: 1,
  localRank: 0,
  localSize: 1,
  host: "127.0.0.1",
  port: DEFAULT_PORT,
  storeIsHosted: false,
  attempt: 0,
  launcher: "none",
};

/**
 * The first launcher that left its variables: torchrun (or anything that sets RANK), Kubeflow, Slurm, Open MPI, SkyPilot.
 * @throws {SettingsError} `ERR_RANK_VARIABLES` when some are there and others missing or not numbers
 */
export function rankFromEnvironment(env: Environment): RankInfo {
  const found = LAUNCHERS.find(({ mark }) => env[mark] !== undefined);
  if (found === undefined) return ALONE;
  const info = { ...ALONE, ...found.read(reader(env, found.name)), launcher: found.name };
  if (info.rank >= info.size) {
    throw new SettingsError("ERR_RANK_VARIABLES", `rank ${info.rank} of ${info.size} processes.`, {
      where: `variables of ${found.name}`,
      fix: "ranks count from 0 to one below the number of processes.",
    });
  }
  // One process needs nobody to meet.
  return info.size === 1 ? { ...ALONE, launcher: found.name } : info;
}

interface Reader {
  number(name: string, fallback?: number): number;
  text(name: string, fallback?: string): string;
}

const LAUNCHERS: readonly { name: string; mark: string; read: (get: Reader) => Partial<RankInfo> }[] = [
  {
    name: "torchrun",
    mark: "RANK",
    read: ({ number, text }) => ({
      rank: number("RANK"),
      size: number("WORLD_SIZE"),
      localRank: number("LOCAL_RANK", 0),
      localSize: number("LOCAL_WORLD_SIZE", 1),
      host: text("MASTER_ADDR"),
      port: number("MASTER_PORT", DEFAULT_PORT),
      storeIsHosted: text("TORCHELASTIC_USE_AGENT_STORE", "False") === "True",
      attempt: number("TORCHELASTIC_RESTART_COUNT", 0),
    }),
  },
  {
    // One process in each pod, unless the image starts torchrun, which sets RANK.
    name: "Kubeflow",
    mark: "PET_NNODES",
    read: ({ number, text }) => ({
      rank: number("PET_NODE_RANK"),
      size: number("PET_NNODES"),
      host: text("PET_MASTER_ADDR"),
      port: number("PET_MASTER_PORT", DEFAULT_PORT),
    }),
  },
  {
    name: "Slurm",
    mark: "SLURM_PROCID",
    read: ({ number, text }) => ({
      rank: number("SLURM_PROCID"),
      size: number("SLURM_NTASKS"),
      localRank: number("SLURM_LOCALID", 0),
      localSize: firstNumber(text("SLURM_NTASKS_PER_NODE", text("SLURM_TASKS_PER_NODE", "1"))),
      host: text("MASTER_ADDR", firstHost(text("SLURM_JOB_NODELIST", "127.0.0.1"))),
      // Two jobs on one node must not meet.
      port: number("MASTER_PORT", DEFAULT_PORT + (number("SLURM_JOB_ID", 0) % 1000)),
    }),
  },
  {
    name: "Open MPI",
    mark: "OMPI_COMM_WORLD_RANK",
    read: ({ number, text }) => ({
      rank: number("OMPI_COMM_WORLD_RANK"),
      size: number("OMPI_COMM_WORLD_SIZE"),
      localRank: number("OMPI_COMM_WORLD_LOCAL_RANK", 0),
      localSize: number("OMPI_COMM_WORLD_LOCAL_SIZE", 1),
      host: text("MASTER_ADDR", "127.0.0.1"),
      port: number("MASTER_PORT", DEFAULT_PORT),
    }),
  },
  {
    // One process a node; on nodes with several GPUs `camelid ... --nproc N` starts the others.
    name: "SkyPilot",
    mark: "SKYPILOT_NODE_RANK",
    read: ({ number, text }) => ({
      rank: number("SKYPILOT_NODE_RANK"),
      size: number("SKYPILOT_NUM_NODES"),
      host: text("SKYPILOT_NODE_IPS", "127.0.0.1").split("\n")[0]!.trim(),
      port: number("MASTER_PORT", DEFAULT_PORT),
    }),
  },
];

function reader(env: Environment, launcher: string): Reader {
  const wrong = (name: string): SettingsError =>
    new SettingsError(
      "ERR_RANK_VARIABLES",
      `${name} is ${env[name] === undefined ? "not set" : `"${env[name]}"`}.`,
      {
        where: `variables of ${launcher}`,
        fix: `start all processes with the same launcher, or unset its variables to run one process alone.`,
      },
    );
  const text = (name: string, fallback?: string): string => {
    const value = env[name] ?? fallback;
    if (value === undefined || value === "") throw wrong(name);
    return value;
  };
  return {
    text,
    number(name, fallback) {
      const value = text(name, fallback?.toString());
      if (!/^\d+$/.test(value)) throw wrong(name);
      return Number(value);
    },
  };
}

/** "4(x2),3" -> 4 */
const firstNumber = (value: string): number => Number.parseInt(value, 10) || 1;

/** Slurm's short form: "node[03-05,09],login" -> "node03"; "gpu-a,gpu-b" -> "gpu-a" */
function firstHost(list: string): string {
  const [, name = "", inside] = /^([^,[]+)(?:\[([^\]]*)\])?/.exec(list) ?? [];
  return inside === undefined ? name : name + inside.split(/[,-]/)[0]!;
}
