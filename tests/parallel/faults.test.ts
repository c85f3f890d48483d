/** What networks and machines do to a run of several processes: a cut, a late start, a death while a checkpoint is written. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRun } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtProgram } from "../cli/camelid.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { freePort } from "./free-port.js";
import { firstStep, rank } from "./start-rank.js";

const root = mkdtempSync(join(tmpdir(), "camelid-rank-faults-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 30 });
});

/** Runs until something stops it; a checkpoint after every step. */
const endless = (out: string, ...more: string[]): string[] => [
  ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", out, "--threads", "1"],
  ...["--micro-batch-size", "2", "--grad-accum-steps", "2", "--learning-rate", "1e-3"],
  ...["--max-steps", "100000", "--save-every-steps", "1", ...more],
];

/** The newest checkpoint is taken, nothing is passed over, and the run goes on from it. */
async function expectResumes(out: string): Promise<void> {
  const steps = readdirSync(join(out, "checkpoints")).flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []);
  const newest = Math.max(...steps.map(Number));
  const { code, err } = await resumeFor(out, newest + 2);
  expect(code, err).toBe(130);
  expect(err).not.toMatch(/was passed over/);
  const { steps: done } = await readRun(out);
  expect(done.map(({ step }) => step)).toEqual(done.map((_, i) => i + 1));
}

/** Resumes on one process until it has done a step, and asks it to stop. */
async function resumeFor(out: string, until: number): Promise<{ code: number | null; err: string }> {
  const one = rank(0, 1, await freePort(), ["sft", "--resume", "--out", out]);
  await firstStep(out, until);
  one.process.kill("SIGINT");
  return one.ended;
}

test("a rank that starts late is waited for", async () => {
  const out = join(root, "late");
  const port = await freePort();
  const line = [...endless(out).slice(0, -4), "--max-steps", "2"];
  const main = rank(0, 2, port, line);
  await new Promise((resolve) => setTimeout(resolve, 6000)); // longer than a silent rank's patience
  const other = rank(1, 2, port, line);
  for (const { code, err } of await Promise.all([main.ended, other.ended])) expect(code, err).toBe(0);
  expect((await readRun(out)).steps).toHaveLength(2);
});

test.each([
  ["the rank that writes it", 0],
  ["a rank that gives its part of the state", 1],
] as const)("death while a checkpoint is written: %s", async (_, killed) => {
  const out = join(root, `dead ${killed}`);
  const port = await freePort();
  const line = endless(out, "--shard", "parameters");
  const ranks = [0, 1].map((place) => rank(place, 2, port, line));
  await firstStep(out, 3);
  while (!readdirSync(join(out, "checkpoints")).some((name) => name.endsWith(".tmp")))
    await new Promise((resolve) => setImmediate(resolve));
  ranks[killed]!.process.kill("SIGKILL");
  const { code, err, seconds } = await ranks[1 - killed]!.ended;
  expect(code).toBe(1);
  expect(err).toMatch(/ERR_RANK_LOST/);
  expect(err).toMatch(/gone|silent|cannot be reached/);
  expect(seconds).toBeLessThan(60);
  await expectResumes(out);
});

describe("the network between two machines is cut in the middle of a step", () => {
  const tools = spawnSync("sh", [
    "-c",
    "command -v nsenter && unshare -Urn ip link add near type veth peer name far",
  ]);
  const isAllowed = tools.status === 0;

  test.skipIf(!isAllowed)(
    `both ranks end within 30 s with the cause, and the run can be continued${isAllowed ? "" : " (needs unshare, ip and nsenter)"}`,
    async () => {
      const out = join(root, "cut");
      const cut = join(root, "cut.now");
      // Two network namespaces stand for two machines, a pair of virtual interfaces for the cable between them.
      const script = join(root, "two-machines.sh");
      writeFileSync(
        script,
        `set -e
export RANK WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=10.9.0.1 MASTER_PORT=29500 CAMELID_RANK_PATIENCE=8
ip link set lo up
ip link add near type veth peer name far
unshare -n sleep 120 & away=$!
sleep 0.5
ip link set far netns $away
ip addr add 10.9.0.1/24 dev near
ip link set near up
nsenter -t $away -n sh -c 'ip link set lo up; ip addr add 10.9.0.2/24 dev far; ip link set far up'
RANK=0 GLOO_SOCKET_IFNAME=near "$@" 2>${join(root, "cut.0")} >/dev/null & first=$!
RANK=1 GLOO_SOCKET_IFNAME=far nsenter -t $away -n "$@" 2>${join(root, "cut.1")} >/dev/null & second=$!
trap 'kill -9 $first $second $away 2>/dev/null' EXIT
while [ ! -e ${cut} ]; do sleep 0.1; done
ip link set near down
set +e
wait $first; echo "first $?"
wait $second; echo "second $?"
`,
      );
      const program = [process.execPath, builtProgram, ...endless(out, "--shard", "parameters")];
      const machines = spawn("sh", ["-c", 'exec unshare -Urn bash "$@"', "sh", script, ...program], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      machines.stdout.on("data", (chunk) => {
        said += chunk;
      });
      const ended = new Promise((resolve) => machines.on("close", resolve));
      await firstStep(out, 3);
      const at = performance.now();
      writeFileSync(cut, "");
      await ended;
      expect(performance.now() - at).toBeLessThan(30_000);
      expect(said).toBe("first 1\nsecond 1\n");
      for (const place of [0, 1]) {
        const err = readFileSync(join(root, `cut.${place}`), "utf8");
        expect(err).toMatch(/DistributedError \[ERR_RANK_LOST\]/);
        expect(err).toMatch(/silent for 8 s|cannot be reached/);
      }
      expect((await readRun(out)).status).toBe("failed");
      await expectResumes(out);
    },
  );
});
