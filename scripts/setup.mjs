/**
 * All set-up there is, before `npm start` and `npm test`: dependencies, TypeScript, libtorch, the native binding.
 * Written for a bare Node.js, since nothing else is there yet. Does nothing twice.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const started = Date.now();

checkNode();
installDependencies();
build();
buildStudio();
setUpTorch();
console.log(`Set-up is complete (${seconds()}).`);

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(
    `Node.js ${process.versions.node} is too old; 20.19 or newer is needed.`,
    "install it from https://nodejs.org, or with your system's packages.",
  );
}

/** `npm ci` when the lock file is not the one that node_modules was made from. */
function installDependencies() {
  const stamp = `${root}node_modules/.camelid-lock`;
  const lock = createHash("sha256")
    .update(readFileSync(`${root}package-lock.json`))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  step("installing dependencies");
  run(
    "npm",
    ["ci", "--no-fund", "--no-audit", "--loglevel=error"],
    "check the network, and that the folder is writable.",
  );
  writeFileSync(stamp, lock);
}

function build() {
  step("building TypeScript");
  run(
    process.execPath,
    [`${root}node_modules/typescript/bin/tsc`, "-b"],
    "this is a fault of the sources; please report it.",
  );
}

/** Half a second; left out when no source of the browser app changed. */
function buildStudio() {
  step("building the Studio");
  run(
    process.execPath,
    [`${root}packages/studio/build.mjs`],
    "this is a fault of the sources; please report it.",
  );
}

function setUpTorch() {
  step("preparing libtorch");
  run(
    process.execPath,
    [`${root}packages/torch/dist/setup/main.js`],
    "the message above says what is missing.",
  );
}

function run(command, args, advice) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (error !== undefined) fail(`${command} could not be started: ${error.message}`, advice);
  if (status !== 0) fail(`set-up stopped at \`${command} ${args[0]}\` (exit code ${status}).`, advice);
}

function step(text) {
  console.log(`${text} ... (${seconds()})`);
}

function seconds() {
  return `${((Date.now() - started) / 1000).toFixed(1)} s`;
}

function fail(message, advice) {
  console.error(`\n${message}\n  fix: ${advice}`);
  process.exit(1);
}
