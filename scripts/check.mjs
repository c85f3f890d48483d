/** Everything that is checked without running the product: types, lint, dead code, generated files. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => `${root}node_modules/.bin/${name}`;

const checks = [
  ["types", bin("tsc"), ["-p", "tsconfig.check.json"]],
  ["types of the browser app", bin("tsc"), ["-p", "packages/studio"]],
  ["types of the browser's tests", bin("tsc"), ["-p", "tests/studio"]],
  ["lint and format", bin("biome"), ["ci", "--colors=off", "--error-on-warnings", "."]],
  ["dead code", bin("knip"), []],
  ["generated operators", process.execPath, ["packages/torch/dist/codegen/generate.js", "--check"]],
];

const failed = checks.filter(([name, command, args]) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name}`);
  return status !== 0;
});
console.log(`checks: ${checks.length - failed.length} ok, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
