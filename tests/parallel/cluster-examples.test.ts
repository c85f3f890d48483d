/** The examples for clusters are complete commands, and what their launchers set makes the right ranks. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { rankFromEnvironment } from "../../packages/camelid/src/parallel/ranks.js";
import { settingsShape } from "../../packages/camelid/src/settings/knob.js";
import * as sft from "../../recipes/sft.js";

const path = (name: string): string =>
  fileURLToPath(new URL(`../../examples/clusters/${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), "utf8");

interface TrainJob {
  spec: { trainer: { numNodes: number; command: string[]; resourcesPerNode: { limits: object } } };
}
interface Sky {
  num_nodes: number;
  run: string;
}

/** The words after `camelid` in a shell script, its line ends joined. */
const commandIn = (script: string): string[] =>
  script
    .replaceAll("\\\n", " ")
    .split("\n")
    .flatMap((line) => /\bcamelid (sft .*)/.exec(line)?.[1]?.trim().split(/\s+/) ?? []);

const commands: Record<string, () => string[]> = {
  "slurm.sbatch": () => commandIn(read("slurm.sbatch").replaceAll(/^#.*$/gm, "")),
  "torchrun.sh": () => commandIn(read("torchrun.sh").replaceAll(/^#.*$/gm, "")),
  "trainjob.yaml": () => (parse(read("trainjob.yaml")) as TrainJob).spec.trainer.command.slice(2),
  "skypilot.yaml": () => commandIn((parse(read("skypilot.yaml")) as Sky).run),
};

test.each(Object.keys(commands))("%s calls sft with flags and a preset that exist", (name) => {
  const words = commands[name]!();
  expect(words[0]).toBe("sft");
  const flags = words.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0]);
  const known = [...settingsShape(sft.settings).knobs.values()].map((knob) => knob.flag);
  expect(flags.filter((flag) => ![...known, "--preset", "--nproc"].includes(flag!))).toEqual([]);
  const preset = /--preset[= ](\S+)/.exec(words.join(" "))![1]!;
  expect(Object.keys(sft.presets)).toContain(preset);
  for (const place of ["--model", "--data", "--out"]) expect(flags).toContain(place);
});

test.each(["slurm.sbatch", "torchrun.sh"])("%s is a script that a shell can read", (name) => {
  execFileSync("bash", ["-n", path(name)]);
});

test("Slurm's tasks for the sbatch file are sixteen ranks that meet on the first node", () => {
  const script = read("slurm.sbatch");
  const nodes = Number(/--nodes=(\d+)/.exec(script)![1]);
  const each = Number(/--ntasks-per-node=(\d+)/.exec(script)![1]);
  const ranks = Array.from({ length: nodes * each }, (_, task) =>
    rankFromEnvironment({
      SLURM_PROCID: String(task),
      SLURM_LOCALID: String(task % each),
      SLURM_NTASKS: String(nodes * each),
      SLURM_NTASKS_PER_NODE: String(each),
      SLURM_JOB_NODELIST: "gpu[07-08]",
      SLURM_JOB_ID: "4711",
    }),
  );
  expect(ranks.map(({ rank }) => rank)).toEqual([...ranks.keys()]);
  expect(
    new Set(ranks.map(({ host, port, size, localSize }) => `${host}:${port} ${size} ${localSize}`)),
  ).toEqual(new Set(["gpu07:30211 16 8"]));
  expect(ranks[9]).toMatchObject({ rank: 9, localRank: 1 });
});

test("Kubeflow's pods of the TrainJob, before --nproc multiplies them, are two ranks", () => {
  const { numNodes } = (parse(read("trainjob.yaml")) as TrainJob).spec.trainer;
  const pods = Array.from({ length: numNodes }, (_, pod) =>
    rankFromEnvironment({
      PET_NNODES: String(numNodes),
      PET_NODE_RANK: String(pod),
      PET_MASTER_ADDR: "camelid-sft-node-0-0.camelid-sft",
      PET_MASTER_PORT: "29400",
    }),
  );
  expect(pods.map(({ rank, size, port }) => [rank, size, port])).toEqual([
    [0, 2, 29400],
    [1, 2, 29400],
  ]);
});

test("SkyPilot's nodes are as many ranks, and the first one's address is where they meet", () => {
  const { num_nodes } = parse(read("skypilot.yaml")) as Sky;
  const last = rankFromEnvironment({
    SKYPILOT_NODE_RANK: String(num_nodes - 1),
    SKYPILOT_NUM_NODES: String(num_nodes),
    SKYPILOT_NODE_IPS: "10.1.0.4\n10.1.0.9",
  });
  expect(last).toMatchObject({ rank: 1, size: 2, host: "10.1.0.4", launcher: "SkyPilot" });
});
