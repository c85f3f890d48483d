/**
 * Time of one small call, ours against Python's torch, in turn on one thread: the work is negligible, so it is overhead.
 * Freeing is included on both sides: tensors die in a scope of 1,000 calls here, at once in Python.
 *   node benchmarks/call-overhead.mjs [PYTHON=python3] [ROUNDS=151] [CALLS=1000]
 * Rounds are short (a few milliseconds), so that most of them run undisturbed on a busy machine.
 * Prints a Markdown table: median microseconds a call, half the distance between the quartiles, and the ratio.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as torch from "@camelid/torch";

const settings = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split("=")));
const { PYTHON = "python3", ROUNDS = "151", CALLS = "1000" } = settings;
const calls = Number(CALLS);
const PER_SCOPE = 1000;

torch.setNumThreads(1);
const x = torch.ones([2, 2]);
const y = torch.ones([2, 2]);
const w = torch.ones([2, 2]);
w.requiresGrad = true;
const operations = {
  "add 2x2": () => x.add(y),
  "add a number": () => x.add(1.5),
  "matmul 2x2": () => x.matmul(y),
  view: () => x.view([4]),
  "add_ in place": () => x.add_(y),
  "sum over a dimension": () => x.sum([0], true),
  "cat of two": () => torch.cat([x, y], 1),
  "add, recorded for gradients": () => torch.enableGrad(() => x.add(w)),
};

function measure(operation) {
  const start = performance.now();
  for (let done = 0; done < calls; done += PER_SCOPE) {
    const scope = torch.tensorScope();
    for (let i = 0; i < PER_SCOPE; i++) operation();
    scope[Symbol.dispose]();
  }
  return ((performance.now() - start) / calls) * 1000;
}

const script = fileURLToPath(new URL("call-overhead.py", import.meta.url));
const python = spawn(PYTHON, [script, CALLS], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: python.stdout });
const ours = Object.fromEntries(Object.keys(operations).map((name) => [name, []]));
const theirs = structuredClone(ours);
let version = "";

// Warm: compiled by V8.
for (let i = 0; i < 20; i++) torch.noGrad(() => Object.values(operations).forEach(measure));
const warmUp = 5;
for (let round = -warmUp; round < Number(ROUNDS); round++) {
  python.stdin.write("go\n");
  const [line] = await once(answers, "line");
  const answer = JSON.parse(line);
  version = answer.version;
  const times = torch.noGrad(() =>
    Object.entries(operations).map(([name, operation]) => [name, measure(operation)]),
  );
  if (round < 0) continue;
  for (const [name, time] of times) ours[name].push(time);
  for (const [name, time] of Object.entries(answer.times)) theirs[name].push(time);
}
python.stdin.end();

const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.round(q * (values.length - 1))];
const shown = (values) =>
  `${quantile(values, 0.5).toFixed(2)} ± ${((quantile(values, 0.75) - quantile(values, 0.25)) / 2).toFixed(2)}`;
console.log(
  `libtorch ${torch.installation().version}, Node ${process.versions.node}, Python's torch ${version}\n`,
);
console.log("| call | ours, µs | Python, µs | ours / Python |\n|---|---|---|---|");
for (const name of Object.keys(operations)) {
  const ratio = quantile(ours[name], 0.5) / quantile(theirs[name], 0.5);
  console.log(`| ${name} | ${shown(ours[name])} | ${shown(theirs[name])} | ${ratio.toFixed(2)} |`);
}
