/** Builds the browser app into dist/, unless it was built from the same sources. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = import.meta.dirname;
const stamp = join(root, "dist", ".sources");
const sources = sourcesHash();

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== sources) {
  const { build } = await import("vite");
  await build({ configFile: join(root, "vite.config.mjs") });
  writeFileSync(stamp, sources);
}

/** Of every file that goes into the app, the versions of its libraries included. */
function sourcesHash() {
  const hash = createHash("sha256");
  const files = ["src", "public"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  for (const file of [
    ...files.sort(),
    ...["index.html", "vite.config.mjs", "package.json", "build.mjs"].map((name) => join(root, name)),
  ]) {
    hash.update(`${file.slice(root.length)}\n`).update(readFileSync(file));
  }
  return hash.digest("hex");
}
