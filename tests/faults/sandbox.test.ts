/** Programs that attack the sandbox: each is a failure of its item and harms nothing. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSandbox, type Sandbox } from "../../packages/camelid/src/eval/sandbox/sandbox.js";
import { ATTACKS } from "./sandbox-attacks.js";

const CHECK =
  "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert abs(candidate(2, 5) - 7) < 1e-6\ncheck(add)\n";
const good = { program: "def add(a, b):\n    return a + b\n", test: CHECK, entryPoint: "add" };

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await openSandbox({
    parallel: 2,
    timeLimitMs: 2500,
    memoryBytes: 96 * 2 ** 20,
    outputBytes: 64 * 1024,
  });
});
afterAll(() => sandbox[Symbol.asyncDispose]());

test("a right answer passes, a wrong one fails with its exception", async () => {
  expect(await sandbox.run(good)).toMatchObject({ outcome: "passed", detail: "" });
  const wrong = { ...good, program: "def add(a, b):\n    print('hm')\n    return a - b\n" };
  expect(await sandbox.run(wrong)).toMatchObject({
    outcome: "failed",
    detail: "AssertionError",
    output: "hm\n",
  });
});

test("there are at least 60 attacks, and none may pass", () => {
  expect(ATTACKS.length).toBeGreaterThanOrEqual(60);
  expect(ATTACKS.filter(({ outcomes }) => outcomes.length === 0 || outcomes.includes("passed"))).toEqual([]);
  expect(new Set(ATTACKS.map(({ name }) => name)).size).toBe(ATTACKS.length);
});

test.for(ATTACKS)("$name", async ({ program, outcomes }) => {
  const verdict = await sandbox.run({ program, test: CHECK, entryPoint: "add" });
  expect(outcomes, `${verdict.outcome}: ${verdict.detail}`).toContain(verdict.outcome);
});

test("after all of that nothing has happened outside, and programs still pass", async () => {
  expect(existsSync("/tmp/camelid-attack") || existsSync("camelid-attack")).toBe(false);
  expect(existsSync("/tmp/camelid-attack.db")).toBe(false);
  expect((await sandbox.run(good)).outcome).toBe("passed");
});

test("helpers that the tests call are the prompt's, whatever the program makes of them", async () => {
  const prompt = 'def poly(x):\n    return x * x - 4\n\ndef root():\n    """A zero of poly."""\n';
  const check = "def check(candidate):\n    assert abs(poly(candidate())) < 1e-6\ncheck(root)\n";
  const run = (body: string) =>
    sandbox.run({ program: prompt + body, test: check, entryPoint: "root", prompt });
  expect((await run("    return 2.0\n")).outcome).toBe("passed");
  expect((await run("    return 5.0\ndef poly(x):\n    return 0\n")).outcome).toBe("failed");
});

test("programs do not see each other", async () => {
  const leaves = { ...good, program: `import math\nmath.left = 1\n${good.program}` };
  const looks = { ...good, program: `import math\nassert not hasattr(math, "left")\n${good.program}` };
  for (const program of [leaves, looks, leaves, looks])
    expect((await sandbox.run(program)).outcome).toBe("passed");
});
