/** Products of ever new shapes must not keep memory for each: a training run on rows of all lengths would grow for days. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const program = `
import { readFileSync } from "node:fs";
const torch = await import(process.argv[1]);
torch.setNumThreads(1);
const residentMB = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1000;
const weight = torch.full([256, 256], 0.01, { dtype: "bfloat16" });
const product = (rows) => torch.noGrad(() => torch.tensorScope(() => {
  torch.linear(torch.ones([rows, 256], { dtype: "bfloat16" }), weight);
}));
for (let i = 0; i < 100; i++) product(500 - i);
const before = residentMB();
for (let i = 0; i < 500; i++) product(i + 1);
console.log(residentMB() - before);
`;

test("five hundred shapes of a bf16 product leave under 30 MB behind", ({ skip }) => {
  const processors = process.platform === "linux" ? readFileSync("/proc/cpuinfo", "utf8") : "";
  if (!/avx512_bf16|amx_bf16/.test(processors)) skip("bf16 products go another way on this processor");
  const library = new URL("../dist/index.js", import.meta.url).href;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", program, library],
    { encoding: "utf8" },
  );
  expect(status, stderr).toBe(0);
  expect(Number(stdout)).toBeLessThan(30);
});
