// bundle.mjs OUT.tar.xz: everything run.sh needs on a machine without Node.js and without a network.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const out = resolve(process.argv[2] ?? "camelid-gpu.tar.xz");
const staging = mkdtempSync(join(tmpdir(), "camelid-bundle-"));
const target = join(staging, "camelid");
const copy = (path, filter = () => true) =>
  cpSync(join(root, path), join(target, path), { recursive: true, dereference: true, filter });
const isCode = (path) => !/\.(d\.ts|map)$/.test(path);

try {
  mkdirSync(join(target, "node_modules/@camelid"), { recursive: true });
  cpSync(process.execPath, join(target, "node"), { dereference: true });
  for (const path of ["dist", "native", "setup", "package.json"]) copy(`packages/torch/${path}`, isCode);
  for (const path of ["dist", "package.json"]) copy(`packages/camelid/${path}`, isCode);
  for (const name of ["zod", "@huggingface/jinja", "node-addon-api", "node-api-headers"]) {
    copy(
      `node_modules/${name}`,
      (path) => isCode(path) && !/\.(lib|def)$/.test(path) && !path.includes("/src/"),
    );
  }
  copy("benchmarks/cuda");
  symlinkSync("../../packages/torch", join(target, "node_modules/@camelid/torch"));
  execFileSync("tar", ["--create", "--xz", "--file", out, "--directory", staging, "camelid"], {
    env: { ...process.env, XZ_OPT: "-6 -T0" },
  });
  console.log(`${out}  ${(statSync(out).size / 1e6).toFixed(0)} MB`);
} finally {
  rmSync(staging, { recursive: true, force: true });
}
