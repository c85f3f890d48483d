/** Processes and threads: what happens to tensors that nobody disposes. These run the build, as users do. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const script = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
/** Fails when the process does not end with 0. */
async function runNode(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, OMP_NUM_THREADS: "1", ...env },
  });
  return stdout;
}

test("forgotten tensors are freed by the garbage collector, counted, and traced to where they were made", async () => {
  const output = await runNode(["--expose-gc", script("leaking.mjs")], { CAMELID_TENSOR_STACKS: "1" });
  const { before, after, report } = JSON.parse(output);
  expect(before).toEqual({ tensors: 20, bytes: 20 * 4000 });
  expect(after).toEqual({ tensors: 0, bytes: 0 });
  expect(report.leaked).toBe(20);
  expect(report.origins[0]).toContain("leaking.mjs");
});

test("without stacks the leak is still counted", async () => {
  const { report } = JSON.parse(await runNode(["--expose-gc", script("leaking.mjs")]));
  expect(report).toEqual({ leaked: 20, origins: [] });
});

test("100 workers start, train and stop, two at once, some of them in the middle of a step; the process ends with 0", async () => {
  const { own, leaked } = JSON.parse(await runNode([script("start-workers.mjs"), "100"]));
  expect(own).toEqual([1, 1, 1]);
  expect(leaked).toBe(0);
}, 120_000);

test("the main thread may load the package after workers that used it have ended", async () => {
  expect(JSON.parse(await runNode([script("start-workers.mjs"), "6", "late"])).own).toEqual([1, 1, 1]);
});

test("a loop with varying sizes holds little more than its live tensors at their peak, and the statistics say so", async () => {
  const { grown, peakBytes, peakReservedBytes } = JSON.parse(await runNode([script("varying-sizes.mjs")]));
  const MB = 2 ** 20;
  expect(peakReservedBytes).toBeLessThan(1.15 * peakBytes + 64 * MB);
  // Besides tensors: V8's heap, scratch memory of the matrix product.
  expect(grown).toBeLessThan(peakReservedBytes + 100 * MB);
});
