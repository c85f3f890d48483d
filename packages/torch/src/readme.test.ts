import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const inPackage = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const run = promisify(execFile);

test("the program in the README type-checks, trains, and saves what it trained", async () => {
  const program = /```ts\n(.*?)```/s.exec(readFileSync(inPackage("README.md"), "utf8"))![1]!;
  const folder = mkdtempSync(join(tmpdir(), "camelid-readme-"));
  try {
    mkdirSync(join(folder, "node_modules", "@camelid"), { recursive: true });
    symlinkSync(inPackage("."), join(folder, "node_modules", "@camelid", "torch"));
    symlinkSync(inPackage("../../node_modules/@types"), join(folder, "node_modules", "@types"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "program.ts"), program);
    const extended = {
      extends: inPackage("../../tsconfig.base.json"),
      compilerOptions: { composite: false },
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...extended, files: ["program.ts"] }));
    await run(process.execPath, [inPackage("../../node_modules/typescript/bin/tsc"), "--project", folder]);
    const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder });

    const losses = [...stdout.matchAll(/^step \d+: loss ([\d.]+)$/gm)].map(([, loss]) => Number(loss));
    expect(losses).toHaveLength(4);
    expect(losses[0]).toBeGreaterThan(1);
    expect(losses[3]).toBeLessThan(0.05);
    expect(losses).toEqual(losses.toSorted((a, b) => b - a));
    expect(existsSync(join(folder, "parabola.safetensors"))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
