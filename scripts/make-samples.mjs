// Writes samples/valley: a small part of what `camelid demo` generates, in every format it can take.
//   npm run build && node scripts/make-samples.mjs
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { demoFiles } from "../packages/camelid/dist/demo/demo-files.js";

const folder = new URL("../samples/valley/", import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [name, text] of demoFiles({ documents: 60, rows: 200, pairs: 40 })) {
  writeFileSync(new URL(name, folder), text);
}
console.log(`wrote ${fileURLToPath(folder)}`);
