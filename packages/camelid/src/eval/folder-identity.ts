/** What answers of a model belong to: the bytes of its folder. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** Weights, configuration, tokenizer, template, adapter; not the README. */
const COUNTS = /\.(safetensors|bin|json|jinja|model)$/;

/** sha256 over names and contents of the files that decide what a model answers, hex. */
export function folderIdentity(folder: string): string {
  const hash = createHash("sha256");
  const names = readdirSync(folder)
    .filter((name) => COUNTS.test(name) && name !== "trainer_state.json")
    .sort();
  for (const name of names) hash.update(`${name} ${fileHash(join(folder, name))}\n`);
  return hash.digest("hex");
}

function fileHash(path: string): string {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(8 * 1024 * 1024);
  const fd = openSync(path, "r");
  try {
    for (;;) {
      const count = readSync(fd, buffer, 0, buffer.byteLength, null);
      if (count === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
}
