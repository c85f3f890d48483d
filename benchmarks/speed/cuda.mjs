// On a GPU: training steps at real shapes (benchmarks/cuda/speed.mjs, which measures the peak of matrix products in the same
// process), and the rate of copies on the device. Peers and the other cases are measured on the CPU only.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "../../packages/torch/dist/index.js";

const script = fileURLToPath(new URL("../cuda/speed.mjs", import.meta.url));

export function measureCuda({ device, cuda, steps, out }) {
  const file = join(out, "cuda-speed.json");
  const args = [script, "--device", device, "--sizes", cuda, "--steps", steps, "--out", file];
  execFileSync(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  return { copyGBs: deviceCopyRate(device) / 1e9, ...JSON.parse(readFileSync(file, "utf8")) };
}

function deviceCopyRate(device) {
  return torch.tensorScope(() => {
    const [from, to] = [0, 1].map(() => torch.zeros([2 ** 28], { device }));
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      torch.synchronize(device);
      const started = performance.now();
      to.copy_(from);
      torch.synchronize(device);
      best = Math.min(best, (performance.now() - started) / 1000);
    }
    return (2 * from.numel * 4) / best;
  });
}

export function cudaMarkdown(machine, { device, peakFlops, copyGBs, attention, results }) {
  return [
    "# Speed beside what is possible, on a GPU",
    "",
    `${machine.time}, commit ${machine.commit}, ${device}, libtorch ${machine.libtorch}; bf16. Matrix products reach ` +
      `${(peakFlops / 1e12).toFixed(0)} TFLOP/s, memory copies ${copyGBs.toFixed(0)} GB/s; attention: ${attention}.`,
    "",
    "| case | tokens/s | share of the rate of matrix products |",
    "|---|---|---|",
    ...results.map((result) =>
      result.error === undefined
        ? `| ${result.size}, ${result.batch} | ${result.tokensPerSecond.toFixed(0)} | ${(100 * result.shareOfPeak).toFixed(0)} % |`
        : `| ${result.size} | ${result.error} | |`,
    ),
    "",
  ].join("\n");
}
