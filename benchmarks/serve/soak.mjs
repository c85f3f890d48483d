// Many clients of every kind for a long time: nothing is lost, nothing grows. See README.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startServerProcess } from "./server-process.mjs";
import { behave, KINDS } from "./soak-clients.mjs";
import { makeTinyModel } from "./tiny-model.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    minutes: { type: "string", default: "30" },
    clients: { type: "string", default: "32" },
    threads: { type: "string", default: "1" },
    "pause-ms": { type: "string", default: "50" },
    "sample-seconds": { type: "string", default: "10" },
    out: { type: "string", default: "soak.json" },
  },
});
const minutes = Number(values.minutes);
const work = mkdtempSync(join(tmpdir(), "camelid-soak-"));
const model = values.model ?? (await makeTinyModel(join(work, "tiny")));
const server = await startServerProcess(model, {
  threads: values.threads,
  // Two places too few, and room for keys and values of about half of the clients: both limits are met all the time.
  settings: [
    "--max-requests",
    String(Math.max(1, Number(values.clients) - 2)),
    "--kv-cache-bytes",
    String(4 * 2 ** 20),
  ],
});

const started = performance.now();
const seconds = () => (performance.now() - started) / 1000;
const counts = Object.fromEntries(KINDS.map((kind) => [kind, {}]));
const lost = [];
const samples = [];
const result = { model, ...values, samples, counts, lost };

async function sample() {
  const metrics = await server.metrics();
  samples.push({
    seconds: Math.round(seconds()),
    rssBytes: server.rssBytes(),
    kvUsedBytes: metrics.camelid_kv_used_bytes,
    kvReservedBytes: metrics.camelid_kv_reserved_bytes,
    inside: metrics.camelid_requests_inside,
    running: metrics.camelid_sequences_running,
    waiting: metrics.camelid_sequences_waiting,
    outputTokens: metrics.camelid_output_tokens_total,
  });
  write();
}

function write(more = {}) {
  const requests = Object.values(counts).flatMap((outcomes) => Object.values(outcomes));
  Object.assign(result, {
    seconds: seconds(),
    requests: requests.reduce((sum, count) => sum + count, 0),
    lostCount: lost.length,
    ...slopes(),
    ...more,
  });
  writeFileSync(values.out, `${JSON.stringify(result, null, 1)}\n`);
}

/** Growth in MB an hour by least squares, without the first fifth (at most 5 minutes): caches fill, code is compiled. */
function slopes() {
  const warm = samples.filter((one) => one.seconds > Math.min(300, (minutes * 60) / 5));
  if (warm.length < 3) return {};
  const growth = (of) => {
    const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const [x, y] = [warm.map((one) => one.seconds / 3600), warm.map((one) => of(one) / 1e6)];
    const [mx, my] = [mean(x), mean(y)];
    const over = x.reduce((sum, xi, i) => sum + (xi - mx) * (y[i] - my), 0);
    return over / x.reduce((sum, xi) => sum + (xi - mx) ** 2, 0);
  };
  const rss = warm.map((one) => one.rssBytes / 1e6);
  return {
    rssMegabytes: { first: rss[0], last: rss.at(-1), least: Math.min(...rss), most: Math.max(...rss) },
    rssGrowthMegabytesPerHour: growth((one) => one.rssBytes),
    kvReservedGrowthMegabytesPerHour: growth((one) => one.kvReservedBytes),
  };
}

async function client(number) {
  // Each client's doings are the same in every soak; their timing is not.
  let state = number * 2654435761 + 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  while (seconds() < minutes * 60) {
    const { kind, outcome, isLost } = await behave(server.url, random);
    counts[kind][outcome] = (counts[kind][outcome] ?? 0) + 1;
    if (isLost && lost.length < 100) lost.push({ seconds: seconds(), kind, outcome });
    await new Promise((resolve) => setTimeout(resolve, random() * 2 * Number(values["pause-ms"])));
  }
}

const timer = setInterval(
  () => void sample().catch((error) => lost.push({ kind: "metrics", outcome: String(error) })),
  Number(values["sample-seconds"]) * 1000,
);
await Promise.all(Array.from({ length: Number(values.clients) }, (_, i) => client(i)));
clearInterval(timer);
await new Promise((resolve) => setTimeout(resolve, 2000));
await sample();
// Keys and values of earlier prompts stay for later ones; their memory is bounded by the budget.
const { inside, running, waiting } = samples.at(-1);
const isIdle = inside + running + waiting === 0;
const exitCode = await server.stop();
write({ isIdle, exitCode, serverErrors: server.errors().slice(0, 2000), isDone: true });
rmSync(work, { recursive: true, force: true });
const { samples: _, ...shown } = result;
console.log(JSON.stringify(shown, null, 1));
process.exitCode = isIdle && lost.length === 0 && exitCode === 0 ? 0 : 1;
