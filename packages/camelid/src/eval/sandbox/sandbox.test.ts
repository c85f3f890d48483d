import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { preparedPython, readPython } from "./python-module.js";
import { openSandbox, type Sandbox } from "./sandbox.js";
import { webAssembly } from "./web-assembly.js";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await openSandbox({ parallel: 2, timeLimitMs: 10_000 });
});
afterAll(() => sandbox[Symbol.asyncDispose]());

const CHECK = "def check(candidate):\n    assert candidate(2) == 4\ncheck(double)\n";
const run = (program: string, test = CHECK) => sandbox.run({ program, test, entryPoint: "double" });

test("another interpreter than the pinned one is refused", () => {
  const folder = mkdtempSync(join(tmpdir(), "python-"));
  const path = join(folder, "python.wasm");
  const bytes = Uint8Array.from(readPython());
  bytes[1_000_000]! ^= 1;
  writeFileSync(path, bytes);
  expect(() => readPython(path)).toThrow(/has sha256 [0-9a-f]{64}, not e5dc5a39/);
  expect(() => readPython(join(folder, "none"))).toThrow(
    expect.objectContaining({ code: "ERR_SANDBOX_PYTHON" }),
  );
  rmSync(folder, { recursive: true });
});

test("the prepared interpreter cannot grow past its maximum", async () => {
  const module = await webAssembly.compile(preparedPython(readPython(), 200));
  const calls = Object.fromEntries(webAssembly.Module.imports(module).map(({ name }) => [name, () => 76]));
  const { exports } = new webAssembly.Instance(module, { wasi_snapshot_preview1: calls });
  const memory = exports.memory as unknown as { grow(pages: number): number; buffer: ArrayBuffer };
  expect(memory.grow(40)).toBe(160);
  expect(() => memory.grow(1)).toThrow(RangeError);
  expect(memory.buffer.byteLength).toBe(200 * 65536);
});

const ORDINARY: readonly (readonly [string, string])[] = [
  [
    "modules of the standard library",
    `
import abc, array, ast, bisect, calendar, cmath, collections, contextlib, copy, csv, dataclasses, datetime, decimal
import enum, fractions, functools, hashlib, heapq, inspect, io, itertools, json, logging, math, numbers, operator, os
import pprint, queue, random, re, secrets, statistics, string, struct, sys, textwrap, threading, time, timeit, traceback
import types, typing, unicodedata, unittest, uuid, zlib
def double(x): return 2 * x`,
  ],
  [
    "named tuples, data classes, enums",
    `
from collections import namedtuple
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, List
P = namedtuple("P", "x y")
class Q(NamedTuple):
    a: int
@dataclass
class D:
    v: int
class C(Enum):
    A = 1
def double(x): return D(P(x, x).x + Q(x).a).v`,
  ],
  [
    "a generator, a closure, a cache",
    `
import functools
@functools.lru_cache(None)
def double(x): return sum(y for y in [x, x])`,
  ],
  [
    "caught exceptions",
    `
def double(x):
    try:
        return {}[x]
    except KeyError as error:
        return 2 * error.args[0]`,
  ],
  [
    "printing",
    `
def double(x):
    print("doubling", x)
    return 2 * x`,
  ],
  [
    "recursion as deep as Python allows",
    `
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
def double(x): return 2 * x + depth(900) - 900`,
  ],
  [
    "a main block, which does not run",
    `
def double(x): return 2 * x
if __name__ == "__main__":
    raise SystemExit(input())`,
  ],
  [
    "sleeping a little",
    `
import time
def double(x):
    time.sleep(0.01)
    return 2 * x`,
  ],
];

test.for(ORDINARY)("ordinary programs pass: %s", async ([, program]) => {
  expect(await run(program)).toMatchObject({ outcome: "passed", detail: "" });
});

test("a counter may be compared with a dictionary", async () => {
  const program = "from collections import Counter\ndef double(x):\n    return Counter([x, x])\n";
  expect(await run(program, "assert double(3) == {3: 2}")).toMatchObject({ outcome: "passed" });
});

test("iterators, sets and functions may be answers", async () => {
  const cases: [string, string][] = [
    ["def double(x):\n    yield x\n    yield x\n", "assert list(double(3)) == [3, 3]"],
    ["def double(x):\n    return map(lambda y: 2 * y, x)\n", "assert tuple(double([1, 2])) == (2, 4)"],
    ["def double(x):\n    return {2 * y for y in x}\n", "assert double([1, 2]) == {2, 4}"],
    ["def double(x):\n    return lambda y: x + y\n", "assert double(1)(2) == 3"],
    [
      "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef double(x):\n    return P(x, x)\n",
      "assert double(3) == (3, 3)",
    ],
    ["def double(x):\n    return {x: [2 * x, None, 1.5, 'a', b'b', True]}\n", "assert double(3)[3][0] == 6"],
  ];
  for (const [program, test] of cases)
    expect(await run(program, test), program).toMatchObject({ outcome: "passed" });
});

test("what is wrong is said in one line", async () => {
  expect((await run("def double(x):\n    return y")).detail).toBe("NameError: name 'y' is not defined");
  expect((await run("def double(x) return")).detail).toMatch(/^SyntaxError: expected ':'/);
  expect((await run("raise ValueError('ünïcode \\ud800')")).detail).toMatch(/^ValueError: ünïcode/);
  expect((await run("import sys\nsys.exit(3)")).detail).toBe("SystemExit: 3");
  expect((await run("import os\nos._exit(7)")).detail).toBe("ended itself with exit code 7");
});

test("the same program gets the same random numbers and hashes in every run", async () => {
  const program = "import random\nprint(random.random(), hash('x'))\ndef double(x): return 2 * x\n";
  const [a, b] = await Promise.all([run(program), run(program)]);
  expect(a.outcome).toBe("passed");
  expect(a.output).toBe(b.output);
});

test("a program in the middle of its work ends with the sandbox", async () => {
  const own = await openSandbox({ parallel: 1, timeLimitMs: 60_000 });
  const running = own.run({ program: "while True: pass", test: "" });
  const waiting = own.run({ program: "", test: "" });
  const both = Promise.allSettled([running, waiting]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await own[Symbol.asyncDispose]();
  expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
