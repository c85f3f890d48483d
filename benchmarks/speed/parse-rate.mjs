// parse-rate.mjs RAW THREADS: what a mixer cannot do without - read, parse, write again as JSON - on one thread, times the threads.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [raw, threads] = process.argv.slice(2);
const MOST_BYTES = 60e6;
let bytes = 0;
let written = 0;
let busy = 0;
for (const name of readdirSync(raw, { recursive: true }).sort()) {
  if (!name.endsWith(".jsonl") || bytes > MOST_BYTES) continue;
  const started = performance.now();
  const content = readFileSync(join(raw, name));
  for (const line of content.toString("utf8").split("\n")) {
    if (line !== "") written += Buffer.byteLength(JSON.stringify(JSON.parse(line)));
  }
  busy += performance.now() - started;
  bytes += content.length;
}
console.log(JSON.stringify({ perSecond: (bytes / busy / 1000) * Number(threads), written }));
