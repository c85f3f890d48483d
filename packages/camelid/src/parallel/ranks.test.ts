import { expect, test } from "vitest";
import { rankFromEnvironment } from "./ranks.js";

test("without a launcher a process is alone", () => {
  expect(rankFromEnvironment({ HOME: "/root" })).toMatchObject({ rank: 0, size: 1, launcher: "none" });
});

test("torchrun's variables are read, with its agent's store and restarts", () => {
  const env = {
    RANK: "5",
    WORLD_SIZE: "8",
    LOCAL_RANK: "1",
    LOCAL_WORLD_SIZE: "4",
    MASTER_ADDR: "10.0.0.7",
    MASTER_PORT: "29400",
    TORCHELASTIC_USE_AGENT_STORE: "True",
    TORCHELASTIC_RESTART_COUNT: "2",
  };
  expect(rankFromEnvironment(env)).toEqual({
    rank: 5,
    size: 8,
    localRank: 1,
    localSize: 4,
    host: "10.0.0.7",
    port: 29400,
    storeIsHosted: true,
    attempt: 2,
    launcher: "torchrun",
  });
});

test("RANK goes before every other launcher's variables", () => {
  const env = { RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "h", SLURM_PROCID: "7", SLURM_NTASKS: "8" };
  expect(rankFromEnvironment(env)).toMatchObject({ rank: 1, size: 2, launcher: "torchrun" });
});

test("Kubeflow's defaults for torchrun serve a process that runs without it", () => {
  const env = {
    PET_NNODES: "3",
    PET_NODE_RANK: "2",
    PET_MASTER_ADDR: "job-node-0-0.job",
    PET_MASTER_PORT: "29500",
  };
  expect(rankFromEnvironment(env)).toMatchObject({ rank: 2, size: 3, host: "job-node-0-0.job", port: 29500 });
});

test.each([
  ["node[03-05,09],login", "node03"],
  ["node[12]", "node12"],
  ["gpu-a,gpu-b", "gpu-a"],
  ["single", "single"],
])("the first host of Slurm's %s is %s", (list, host) => {
  const env = { SLURM_PROCID: "1", SLURM_NTASKS: "4", SLURM_LOCALID: "1", SLURM_JOB_NODELIST: list };
  expect(rankFromEnvironment(env)).toMatchObject({ rank: 1, size: 4, localRank: 1, host });
});

test("two jobs of Slurm on one node meet at different ports", () => {
  const job = (id: string) =>
    rankFromEnvironment({ SLURM_PROCID: "0", SLURM_NTASKS: "2", SLURM_JOB_ID: id }).port;
  expect(job("1001")).not.toBe(job("1002"));
});

test("Slurm's tasks per node share its cores", () => {
  const env = { SLURM_PROCID: "0", SLURM_NTASKS: "8", SLURM_TASKS_PER_NODE: "4(x2)" };
  expect(rankFromEnvironment(env).localSize).toBe(4);
});

test("Open MPI and SkyPilot", () => {
  expect(
    rankFromEnvironment({ OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "4", MASTER_ADDR: "a" }),
  ).toMatchObject({ rank: 1, size: 4, host: "a", launcher: "Open MPI" });
  expect(
    rankFromEnvironment({
      SKYPILOT_NODE_RANK: "1",
      SKYPILOT_NUM_NODES: "2",
      SKYPILOT_NODE_IPS: "10.0.0.1\n10.0.0.2",
    }),
  ).toMatchObject({ rank: 1, size: 2, host: "10.0.0.1", launcher: "SkyPilot" });
});

test("a variable that is missing or no number is named", () => {
  expect(() => rankFromEnvironment({ RANK: "0", MASTER_ADDR: "h" })).toThrow(/WORLD_SIZE is not set/);
  expect(() => rankFromEnvironment({ RANK: "one", WORLD_SIZE: "2", MASTER_ADDR: "h" })).toThrow(
    /RANK is "one"/,
  );
  expect(() => rankFromEnvironment({ RANK: "2", WORLD_SIZE: "2", MASTER_ADDR: "h" })).toThrow(/rank 2 of 2/);
});

test("a launcher that starts one process makes a world of one, that meets nobody", () => {
  expect(rankFromEnvironment({ SLURM_PROCID: "0", SLURM_NTASKS: "1" })).toMatchObject({
    size: 1,
    host: "127.0.0.1",
  });
});
