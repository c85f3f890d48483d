/** Several processes train the model that one process trains, and end together when one of them fails. Gloo on this machine. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { loadModel, readLineage, readRun, saveModel } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtCamelid } from "../cli/camelid.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { freePort } from "./free-port.js";
import { firstStep, rank } from "./start-rank.js";

const root = mkdtempSync(join(tmpdir(), "camelid-ranks-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 30 });
});

/** 8 steps of 4 rows, in fp32. */
const words = (out: string, ...more: string[]): string[] => [
  ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", out, "--threads", "1"],
  ...["--micro-batch-size", "2", "--grad-accum-steps", "2", "--learning-rate", "1e-2", "--max-steps", "8"],
  ...more,
];

async function trained(name: string, ...more: string[]) {
  const out = join(root, name);
  const { code, err } = await builtCamelid(...words(out, ...more));
  expect(code, err).toBe(0);
  const { steps } = await readRun(out);
  return { out, steps };
}

describe("the same training on any number of processes", () => {
  const methods: Record<string, string[]> = {
    "every weight": [],
    adapters: ["--lora-rank", "4"],
    "a mean of micro-batch means": ["--loss-reduction", "microbatch-mean", "--packing", "false"],
  };
  test.each(Object.keys(methods))("%s", async (name: string) => {
    const flags = methods[name]!;
    const alone = await trained(`${name} 1`, ...flags);
    for (const count of ["2", "4"]) {
      const together = await trained(`${name} ${count}`, "--nproc", count, ...flags);
      expect(together.steps).toHaveLength(8);
      alone.steps.forEach((step, i) => {
        const other = together.steps[i]!;
        expect(Math.abs(other.loss - step.loss)).toBeLessThan(1e-6 * step.loss);
        expect(Math.abs(other.grad_norm - step.grad_norm)).toBeLessThan(1e-5 * step.grad_norm);
        expect(other.trained_tokens).toBe(step.trained_tokens);
        expect(Object.keys(other.sources ?? {})).toEqual(Object.keys(step.sources ?? {}));
      });
      const rows = async (run: string) => [...(await readLineage(join(run, "lineage"))).rowsOfStep];
      expect(await rows(together.out)).toEqual(await rows(alone.out));
    }
  });

  test("the weights agree with those of one process", async () => {
    const [alone, together] = [join(root, "every weight 1"), join(root, "every weight 4")];
    using one = loadModel(join(alone, "final"));
    using four = loadModel(join(together, "final"));
    using _ = torch.tensorScope();
    for (const [name, weight] of one.namedParameters()) {
      const other = four.namedParameters().get(name)!;
      expect(weight.sub(other).abs().amax().item(), name).toBeLessThan(1e-5);
    }
  });

  test("held-out loss, and rows that are fewer than the processes", async () => {
    const flags = ["--micro-batch-size", "1", "--grad-accum-steps", "2", "--held-out-rows", "5"];
    const alone = await trained("few 1", ...flags);
    const together = await trained("few 4", "--nproc", "4", ...flags);
    const losses = async (run: string) => (await readRun(run)).evals.map(({ loss }) => loss);
    const [before, after] = [await losses(alone.out), await losses(together.out)];
    expect(before).toHaveLength(2);
    before.forEach((loss, i) => {
      expect(Math.abs(after[i]! - loss!)).toBeLessThan(1e-6 * loss!);
    });
  });

  test("a run of two processes goes on in one, with the rows it would have taken", async () => {
    const out = join(root, "shrunk");
    const all = await trained("whole", "--save-every-steps", "4");
    await trained("shrunk", "--nproc", "2", "--save-every-steps", "4");
    // As if it had been stopped after step 4: its end is cut off.
    rmSync(join(out, "final"), { recursive: true });
    rmSync(join(out, "checkpoints", "step-8"), { recursive: true });
    const events = readFileSync(join(out, "events.jsonl"), "utf8").split("\n");
    const cut = events.findIndex((line) => line.includes('"step-end"') && line.includes('"step":5,'));
    writeFileSync(join(out, "events.jsonl"), `${events.slice(0, cut).join("\n")}\n`);
    const { code, err } = await builtCamelid("sft", "--resume", "--out", out);
    expect(code, err).toBe(0);
    expect(err).toMatch(/processes: 2 -> 1/);
    const { steps } = await readRun(out);
    expect(steps).toHaveLength(8);
    steps.forEach(({ loss }, i) => {
      expect(Math.abs(loss - all.steps[i]!.loss)).toBeLessThan(1e-5 * loss);
    });
  });
});

describe("when something is wrong, every rank ends with the cause", () => {
  const long = (out: string): string[] => [...words(out).slice(0, -1), "100000", "--save-every-steps", "5"];

  const [killed, hangs] = [/gone|silent|cannot be reached/, /rank 1 has been silent for 4 s/];
  test.each([
    ["is killed", "none", "SIGKILL", killed],
    ["is killed", "parameters", "SIGKILL", killed],
    ["hangs", "none", "SIGSTOP", hangs],
    ["hangs", "parameters", "SIGSTOP", hangs],
  ] as const)("a rank %s (shard %s)", async (_, shard, signal, cause) => {
    const out = join(root, `lost ${signal} ${shard}`);
    const port = await freePort();
    const line = [...long(out), "--shard", shard];
    const ranks = [0, 1, 2].map((place) => rank(place, 3, port, line));
    await firstStep(out);
    const at = performance.now();
    ranks[1]!.process.kill(signal);
    const ends = await Promise.all([ranks[0]!.ended, ranks[2]!.ended]);
    expect(performance.now() - at).toBeLessThan(30_000);
    ranks[1]!.process.kill("SIGKILL");
    for (const { code, err } of ends) {
      expect(code).toBe(1);
      expect(err).toMatch(/DistributedError \[ERR_RANK_LOST\]/);
      expect(err).toMatch(cause);
    }
    expect((await readRun(out)).status).toBe("failed");
  });

  /** A command line that differs from `words` in one thing. */
  const different: Record<string, (line: string[]) => string[]> = {
    data(line) {
      const other = join(root, "other.jsonl");
      writeFileSync(other, readFileSync(tiny.data, "utf8").split("\n").slice(0, -3).join("\n"));
      return line.map((word) => (word === tiny.data ? other : word));
    },
    settings: (line) => [...line, "--weight-decay", "0.1"],
    weights(line) {
      const other = join(root, "other-model");
      cpSync(tiny.model, other, { recursive: true });
      using model = loadModel(tiny.model, { trainable: true });
      const weight = model.namedParameters().get("model.layers.1.self_attn.k_proj.weight")!;
      torch.noGrad(() => weight.select(0, 0).mul_(1 + 2 ** -20));
      saveModel(model, other);
      return line.map((word) => (word === tiny.model ? other : word));
    },
  };
  test.each([
    ["data", []],
    ["settings", []],
    ["weights", ["--shard", "parameters"]],
    ["weights", ["--lora-rank", "4"]],
  ])("ranks with different %s say so before the first step (%j)", async (what, flags) => {
    const port = await freePort();
    const line = words(join(root, `different ${what} ${flags[0]}`), ...flags);
    const changed = different[what]!(line);
    const ends = await Promise.all([rank(0, 2, port, line).ended, rank(1, 2, port, changed).ended]);
    for (const { code, err } of ends) {
      expect(code).toBe(1);
      expect(err).toMatch(/ERR_RANKS_DIFFER|ERR_RANK_LOST/);
      expect(err).toMatch(/is not the same on every rank/);
    }
  });

  test("a port that is taken is named", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    try {
      const { code, err } = await rank(0, 2, port, words(join(root, "taken")), { CAMELID_RANK_ARRIVAL: "5" })
        .ended;
      expect(code).toBe(1);
      expect(err).toMatch(/ERR_RENDEZVOUS/);
      expect(err).toContain(`127.0.0.1:${port}`);
      expect(err).toMatch(/MASTER_PORT/);
    } finally {
      server.close();
    }
  });

  test("a rank that never comes is named", async () => {
    const port = await freePort();
    const { code, err, seconds } = await rank(0, 2, port, words(join(root, "late")), {
      CAMELID_RANK_ARRIVAL: "3",
    }).ended;
    expect(code).toBe(1);
    expect(err).toMatch(/rank 1 did not arrive/);
    expect(seconds).toBeLessThan(30);
  });

  test("a rank that fails tells the launcher why", async () => {
    const { code, err } = await builtCamelid(
      ...words(join(root, "nan"), "--learning-rate", "1e30", "--max-grad-norm", "none", "--nproc", "2"),
    );
    expect(code).toBe(1);
    expect(err).toMatch(/ERR_NAN/);
  });
});
