/** What `npm pack` makes, unpacked in an empty project as `npm install` would: types, library, command line. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../tiny-model.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "camelid-project-"));
const modules = join(project, "node_modules");
afterAll(() => rmSync(project, { recursive: true, force: true }));

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

beforeAll(() => {
  for (const [folder, name] of [
    ["packages/torch", "@camelid/torch"],
    ["packages/camelid", "camelid"],
    ["packages/studio", "@camelid/studio"],
  ] as const) {
    const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", project], {
      cwd: join(repository, folder),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const answer = JSON.parse(packed) as Record<string, { filename: string }> | { filename: string }[];
    const [{ filename }] = Object.values(answer) as [{ filename: string }];
    mkdirSync(join(modules, name), { recursive: true });
    run("tar", "-xzf", join(project, filename), "-C", join(modules, name), "--strip-components=1");
  }
  linkDependencies();
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
});

/** The other packages are those of this checkout: what is tried here is ours. */
function linkDependencies(): void {
  for (const name of readdirSync(join(repository, "node_modules"))) {
    if (name.startsWith(".") || name === "camelid" || name === "@camelid") continue;
    const target = join(modules, name);
    if (!existsSync(target)) symlinkSync(join(repository, "node_modules", name), target);
  }
}

const program = `
import { loadModel, loadTokenizer, packRows, renderConversation, tokenLogps } from "camelid";
import * as torch from "@camelid/torch";

const folder = process.argv[2]!;
const tokenizer = await loadTokenizer(folder);
using model = loadModel(folder);
const row = await renderConversation(
  { dataset: "mine", id: "1", messages: [{ role: "user", content: "Hello?" }, { role: "assistant", content: "Hello." }] },
  tokenizer,
);
using _ = torch.tensorScope();
const packed = packRows([row.inputIds], model.device);
const hidden: torch.Tensor = model.hiddenStates(packed);
console.log(row.inputIds.length === hidden.shape[0], typeof tokenLogps, row.trainedTokens > 0);
`;

test("before set-up the doctor says what is missing, and the commands are listed", () => {
  const bin = join(modules, "camelid", "dist", "cli", "main.js");
  const doctor = spawnSync(process.execPath, [bin, "doctor"], { encoding: "utf8" });
  expect(doctor.stdout).toMatch(/Node\.js.*FAIL +libtorch.*camelid setup/s);
  expect(doctor.status).toBe(1);
  expect(run(process.execPath, bin, "--help")).toMatch(/mix .*\n.*sft/s);
});

test("the command line sets the engine up, and says what it can do", () => {
  const bin = join(modules, "camelid", "dist", "cli", "main.js");
  expect(run(process.execPath, bin, "setup")).toMatch(/libtorch .* is ready/);
  expect(run(process.execPath, bin, "--help")).toMatch(/mix .*\n.*sft/s);
  expect(run(process.execPath, bin, "copy", "sft", "mine.ts")).toMatch(/mine\.ts/);
  expect(existsSync(join(project, "mine.ts"))).toBe(true);
});

test("a program in TypeScript compiles against the packed types and runs", async () => {
  const { model } = await writeTinyModel(join(project, "tiny"));
  writeFileSync(join(project, "program.ts"), program);
  const options = ["--module", "nodenext", "--target", "es2022", "--lib", "es2023,esnext.disposable"];
  run(
    process.execPath,
    join(repository, "node_modules/typescript/bin/tsc"),
    ...options,
    ...["--strict", "--exactOptionalPropertyTypes", "--types", "node", "program.ts", "mine.ts"],
  );
  expect(run(process.execPath, "program.js", model).trim()).toBe("true function true");
});

test("a copied recipe, changed, runs with its own presets beside it", async () => {
  const bin = join(modules, "camelid", "dist", "cli", "main.js");
  const { model, data } = await writeTinyModel(join(project, "to-train"), { rows: 8 });
  run(process.execPath, bin, "copy", "sft", "own/mine.ts");
  const mine = join(project, "own", "mine.ts");
  writeFileSync(mine, readFileSync(mine, "utf8").replace("loss: loss.toFixed(3)", 'own: "mine"'));
  expect(run(process.execPath, bin, "run", mine, "--help")).toMatch(/^Usage: mine .*tulu2-7b/s);
  const places = ["--model", model, "--data", data, "--out", "out", "--threads", "1"];
  const steps = ["--micro-batch-size", "2", "--max-steps", "2", "--set", "preflight=false"];
  run(process.execPath, bin, "run", mine, ...places, ...steps);
  expect(existsSync(join(project, "out", "final", "model.safetensors"))).toBe(true);
});

test("nothing but what users need is packed", () => {
  const files = readdirSync(join(modules, "camelid"), { recursive: true, encoding: "utf8" });
  expect(files.filter((file) => /\.test\.|tsbuildinfo|\/fixtures\//.test(file))).toEqual([]);
  for (const name of ["README.md", "LICENSE", "AGENTS.md"]) expect(files).toContain(name);
});
