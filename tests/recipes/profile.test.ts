/** The setting `profile`: what it measures adds up, is shown everywhere, and changes nothing. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecipeContext, readRun } from "camelid";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { profileSummary, profileText } from "../../packages/camelid/src/run/profile-text.js";
import * as sft from "../../recipes/sft.js";
import { traceOf } from "../faults/training.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-profile-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 32 });
});

async function train(changes: Partial<sft.SftSettings>, context: Partial<RecipeContext> = {}) {
  const out = join(mkdtempSync(join(root, "run-")), "run");
  const settings = sft.settings.parse({
    ...{ model: tiny.model, data: tiny.data, out, threads: 1 },
    ...{ microBatchSize: 2, gradAccumSteps: 2, learningRate: 1e-2 },
    ...changes,
  });
  const { signal } = new AbortController();
  await sft.run(settings, {
    ...{ recipe: "sft", origins: {}, output: "silent", resume: false, signal },
    ...context,
  });
  return { out, record: await readRun(out) };
}

const profilesOf = (record: Awaited<ReturnType<typeof train>>["record"]) =>
  record.events.flatMap((event) => (event.event === "step-profiled" ? [event] : []));

test("the third step is measured, and its phases add up to it", async () => {
  const { out, record } = await train({ profile: true });
  const [profile, ...more] = profilesOf(record);
  expect(more).toEqual([]);
  expect(profile).toMatchObject({ step: 3, device: "cpu", trace: "profile-step-3.trace.json" });
  const names = profile!.phases.map(({ name }) => name);
  for (const phase of "data pack forward loss backward clip optimizer log other".split(" "))
    expect(names).toContain(phase);
  const sum = profile!.phases.reduce((total, { ms }) => total + ms, 0);
  expect(sum).toBeCloseTo(profile!.duration_ms, 0);
  // Matrix products of a forward pass are in that phase, their gradients in the backward pass.
  const phases = profile!.operators.filter(({ name }) => name === "aten::mm").map(({ phase }) => phase);
  expect(phases).toEqual(expect.arrayContaining(["forward", "backward", "loss"]));
  const { matrixProducts, otherOperators, betweenOperators } = profileSummary(profile!);
  expect(matrixProducts + otherOperators + betweenOperators).toBeCloseTo(1, 1);
  expect(matrixProducts).toBeGreaterThan(0);

  const trace = JSON.parse(readFileSync(join(out, profile!.trace), "utf8")) as { traceEvents: unknown[] };
  expect(trace.traceEvents.length).toBeGreaterThan(500);
  const report = readFileSync(join(out, "report.html"), "utf8");
  expect(report).toContain("Profile of step 3");
  expect(report).toContain("camelid::adamw");
});

test("the table fits 80 columns and is printed", async () => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const { record } = await train({ profile: true }, { output: "lines" });
  const printed = write.mock.calls.map(([text]) => String(text)).join("");
  write.mockRestore();
  const text = profileText(profilesOf(record)[0]!);
  expect(printed).toContain(text.split("\n")[0]);
  for (const line of text.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
});

test("a shorter run measures its last step", async () => {
  const { record } = await train({ profile: true, maxSteps: 1 });
  expect(profilesOf(record).map(({ step }) => step)).toEqual([1]);
});

test("measuring changes no bit of the training, and nothing is measured unasked", async () => {
  const plain = await train({});
  expect(profilesOf(plain.record)).toEqual([]);
  expect(existsSync(join(plain.out, "profile-step-3.trace.json"))).toBe(false);
  const measured = await train({ profile: true });
  expect(await traceOf(measured.out)).toEqual(await traceOf(plain.out));
});
