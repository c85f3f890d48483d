import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import type { MemoryMeasured } from "../../packages/camelid/src/run/events.js";
import { readRun } from "../../packages/camelid/src/run/read-run.js";
import { writeTinyModel } from "../tiny-model.js";

const main = fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "camelid-memory-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A run in a process of its own, whose memory is that of nothing else. */
async function measuredRun(name: string, ...flags: string[]): Promise<MemoryMeasured> {
  const { model, data } = await writeTinyModel(join(scratch, "tiny"));
  const out = join(scratch, name);
  const where = ["--model", model, "--data", data, "--out", out];
  const short = ["--max-steps", "3", "--threads", "1", "--preflight", "false"];
  await promisify(execFile)(process.execPath, [main, "sft", ...where, ...short, ...flags]);
  const { events } = await readRun(out);
  return events.find((event) => event.event === "memory-measured")!;
}

describe.skipIf(!existsSync(main))("the memory of a run", () => {
  test("is explained to a tenth by parts that add up to the process's resident peak", async () => {
    const { peak_bytes: peak, parts } = await measuredRun("mixed", "--precision", "bf16-mixed");
    const sum = parts.reduce((total, { bytes }) => total + bytes, 0);
    expect(Math.abs(sum - peak)).toBeLessThan(1);
    const bytesOf = (name: string) => parts.find((part) => part.name === name)!.bytes;
    expect(Math.abs(bytesOf("unexplained"))).toBeLessThan(0.1 * peak);
    expect(peak).toBeGreaterThan(100e6);
    // fp32 masters, and two fp32 moments with a count of steps.
    const masters = bytesOf("fp32 masters of weights");
    expect(bytesOf("moments of the optimizer") / masters).toBeCloseTo(2, 1);
    expect(bytesOf("gradients")).toBe(masters / 2);
    expect(readFileSync(join(scratch, "mixed", "report.html"), "utf8")).toContain("<h2>Memory</h2>");
  });
});
