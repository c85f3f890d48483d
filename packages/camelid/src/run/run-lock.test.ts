import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openRun } from "./run-directory.js";
import { lockRun } from "./run-lock.js";

const folder = (): string => mkdtempSync(join(tmpdir(), "camelid-lock-"));
const held = (run: string, holder: object | string): void =>
  writeFileSync(join(run, ".lock"), typeof holder === "string" ? holder : JSON.stringify(holder));

test("a run that a living process writes is refused, whether it is new or resumed, and not touched", async () => {
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  try {
    const run = folder();
    held(run, { host: hostname(), pid: other.pid });
    for (const resume of [false, true]) {
      if (resume) writeFileSync(join(run, "settings.json"), "{}");
      const before = readdirSync(run);
      expect(() => openRun(run, { recipe: "sft", settings: {}, resume })).toThrow(
        expect.objectContaining({
          code: "ERR_RUN_BUSY",
          message: `process ${other.pid} is writing this run.`,
        }),
      );
      expect(readdirSync(run)).toEqual(before);
    }
  } finally {
    const ended = new Promise((resolve) => other.on("exit", resolve));
    other.kill("SIGKILL");
    await ended;
  }
});

test.each([
  ["a dead process", { host: hostname(), pid: 2 ** 22 + 1 }],
  ["an earlier process that had this one's number", { host: hostname(), pid: process.pid }],
  ["an earlier process with another's number", { host: hostname(), pid: 1, started: "no such time" }],
  ["another machine", { host: "another", pid: 1 }],
  ["a process killed while it wrote the lock", '{"host":"'],
])("the lock of %s does not count", (_, holder) => {
  const run = folder();
  held(run, holder);
  const unlock = lockRun(run);
  expect(existsSync(join(run, ".lock"))).toBe(true);
  unlock();
  expect(readdirSync(run)).toEqual([]);
});
