/**
 * How fast, beside the peers and beside what is possible; see README.md.
 *
 *     npm run bench:speed -- --data rows.jsonl --pairs pairs.jsonl.gz [--python PYTHON] [--out out/speed] [--only dense,sft,...]
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import * as torch from "../../packages/torch/dist/index.js";
import { CASES, environment, prepareCases } from "./cases.mjs";
import { cudaMarkdown, measureCuda } from "./cuda.mjs";
import { markdown } from "./report.mjs";

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    pairs: { type: "string" },
    python: { type: "string" },
    out: { type: "string", default: "out/speed" },
    only: { type: "string", default: CASES.join(",") },
    threads: { type: "string", default: String(Math.min(4, cpus().length)) },
    rounds: { type: "string", default: "2" },
    "peer-rounds": { type: "string", default: "1" },
    steps: { type: "string", default: "5" },
    size: { type: "string", default: "default" },
    device: { type: "string", default: "cpu" },
    cuda: { type: "string", default: "1b" },
  },
});
const wanted = values.only.split(",");
const rounds = Number(values.rounds);
const started = performance.now();
const say = (line) =>
  console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}`);
const root = fileURLToPath(new URL("../..", import.meta.url));
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
const load = () => loadavg()[0].toFixed(1);
const machine = {
  time: new Date().toISOString().slice(0, 10),
  commit,
  cpu: `${cpus().length} cores of ${cpus()[0].model.trim()}`,
  node: process.versions.node,
  libtorch: torch.installation().version,
  loadBefore: load(),
};

mkdirSync(values.out, { recursive: true });
if (values.device === "cpu") await measureCpu();
else {
  const result = measureCuda({ ...values, out: values.out });
  publish({ machine, ...result }, cudaMarkdown(machine, result));
}

async function measureCpu() {
  checkArguments();
  const work = mkdtempSync(join(tmpdir(), "camelid-speed-"));
  try {
    say("preparing models and inputs");
    const cases = await prepareCases(work, wanted, values);
    const measured = cases.map(({ name, title, unit }) => ({ name, title, unit, results: {} }));
    for (const [i, { title, contestants }] of cases.entries()) {
      for (let round = 0; round < rounds; round++) {
        for (const [name, contestant] of Object.entries(contestants)) {
          const isPeer = name !== "camelid" && name !== "limit";
          if (isPeer && round >= Number(values["peer-rounds"])) continue;
          const result = await run(contestant, isPeer);
          measured[i].results[name] ??= [];
          measured[i].results[name].push(result);
          say(
            `[${i + 1}/${cases.length}] ${title}, round ${round + 1}/${rounds}: ${name} ${result.error ?? result.rate.toPrecision(4)}`,
          );
        }
      }
    }
    machine.loadAfter = load();
    const settings = { ...values, rounds, peerRounds: values["peer-rounds"], command: shownCommand() };
    const result = { machine, settings, cases: measured };
    publish(result, markdown(result));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @returns rate, and for limits what else they print; a peer that fails is noted and passed over */
async function run({ command, rate }, isPeer) {
  const [program, ...args] = command;
  try {
    const env = { ...process.env, ...environment(values) };
    const { stdout } = await promisify(execFile)(program, args, { env, maxBuffer: 2 ** 28 });
    const result = JSON.parse(stdout.trim().split("\n").at(-1));
    const { withMemory, copyGBs, peakBytes, losses } = result;
    return { rate: rate(result), withMemory, copyGBs, peakBytes, losses };
  } catch (error) {
    if (!isPeer) throw error;
    return { error: "did not run", why: String(error.stderr ?? error).slice(-2000) };
  }
}

function checkArguments() {
  const unknown = wanted.filter((name) => !CASES.includes(name));
  if (unknown.length > 0)
    throw new Error(`--only: no case ${unknown.join(", ")}; there are ${CASES.join(", ")}`);
  if (values.data === undefined) throw new Error("--data: a JSONL file of conversations is needed");
  if (wanted.includes("dpo") && values.pairs === undefined)
    throw new Error("--pairs: a file of preference pairs is needed, or --only without dpo");
}

/** Without the places of files, which differ everywhere. */
function shownCommand() {
  const python = values.python === undefined ? "" : " --python PYTHON";
  const only = values.only === CASES.join(",") ? "" : ` --only ${values.only}`;
  const size = values.size === "default" ? "" : ` --size ${values.size}`;
  return `npm run bench:speed -- --data ROWS --pairs PAIRS${python} --threads ${values.threads}${only}${size}`;
}

function publish(result, text) {
  writeFileSync(join(values.out, "speed.json"), `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(join(values.out, "speed.md"), text);
  console.log(text);
  say(`written to ${join(values.out, "speed.md")} and speed.json`);
}
