// report.mjs OUT: what the other scripts wrote, as tables, in OUT/results.md and on the terminal.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2];
const read = (name) => {
  const file = join(folder, name);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
};
const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
const parts = [];

for (const [name, title] of [
  ["parity", "Numbers"],
  ["runtime", "Around the kernels"],
  ["collectives", "Several processes"],
]) {
  const found = read(`${name}.json`);
  if (found === undefined) {
    parts.push(`## ${title}: not run, or ended early`);
    continue;
  }
  const { checks } = found;
  const failed = checks.filter(({ passed }) => !passed).length;
  parts.push(
    `## ${title}: ${found.device}, libtorch ${found.version}, ${failed === 0 ? "all checks passed" : `${failed} of ${checks.length} checks FAILED`}`,
    table(
      ["check", "largest difference", "allowed", ""],
      checks.map(({ name, value, limit, passed }) => [
        name,
        value === null ? "none" : Number(value).toExponential(1),
        limit,
        passed ? "ok" : "FAILED",
      ]),
    ),
  );
}
const kernels = read("kernels.json");
if (kernels !== undefined) {
  parts.push(
    `## Our CUDA kernels: ${kernels.device}, a copy moves ${(kernels.copyBytesPerSecond / 1e9).toFixed(0)} GB/s${kernels.problem === undefined ? "" : `; NOT USED: ${kernels.problem}`}`,
    table(
      [
        "kernel",
        "ms",
        "libtorch's operators, ms",
        "of a copy's bandwidth",
        "largest difference",
        "allowed",
        "",
      ],
      kernels.results.map((r) => [
        r.name,
        r.milliseconds.toFixed(3),
        r.chainMilliseconds.toFixed(3),
        `${(100 * r.shareOfCopy).toFixed(0)} %`,
        r.difference.toExponential(1),
        r.limit,
        r.passed ? "ok" : "FAILED",
      ]),
    ),
  );
}
const decode = read("decode.json");
if (decode !== undefined) {
  parts.push(
    `## Decoding: ${decode.device}, bf16, memory at ${(decode.bytesPerSecond / 1e9).toFixed(0)} GB/s`,
    table(
      [
        "shape",
        "texts",
        "steps",
        "graphs",
        "tokens/s",
        "ms a step",
        "share of reading the weights once a step",
      ],
      decode.results.map((r) =>
        r.error !== undefined
          ? [r.size, r.batch, r.decodeMode, r.error.split("\n")[0], "", "", ""]
          : [
              ...[r.size, r.batch, r.because === undefined ? r.mode : `${r.mode}: ${r.because}`, r.graphs],
              ...[r.tokensPerSecond.toFixed(0), r.millisecondsPerStep.toFixed(2)],
              `${(100 * r.shareOfBandwidth).toFixed(0)} %`,
            ],
      ),
    ),
  );
}
for (const [file, suffix] of [
  ["speed.json", ""],
  ["speed-operators.json", ", libtorch's operators in the place of our kernels"],
]) {
  const speed = read(file);
  if (speed === undefined) continue;
  parts.push(
    `## Speed${suffix}: ${speed.device}, bf16, attention: ${speed.attention}, matrix products at ${(speed.peakFlops / 1e12).toFixed(0)} TFLOP/s`,
    table(
      [
        "shape",
        "batch",
        "tokens/s",
        "share of that peak",
        "ms a step (fastest, slowest)",
        "memory, GB",
        "loss",
      ],
      speed.results.map((r) =>
        r.error !== undefined
          ? [r.size, r.error.split("\n")[0], "", "", "", "", ""]
          : [
              `${r.size}, ${(r.parameters / 1e9).toFixed(2)}B${r.recompute ? ", blocks recomputed" : ""}`,
              r.batch,
              r.tokensPerSecond.toFixed(0),
              `${(100 * r.shareOfPeak).toFixed(1)} %`,
              `${r.millisecondsPerStep.toFixed(0)} (${r.fastest.toFixed(0)}, ${r.slowest.toFixed(0)})`,
              (r.peakBytes / 1e9).toFixed(1),
              r.losses.map((loss) => loss.toFixed(3)).join(" -> "),
            ],
      ),
    ),
  );
}
const text = `${parts.join("\n\n")}\n`;
writeFileSync(join(folder, "results.md"), text);
console.log(text);
