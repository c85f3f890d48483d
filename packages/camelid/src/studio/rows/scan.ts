/**
 * Passes over a whole file of rows, of hundreds of megabytes often: on a thread of their own, so that the Studio answers
 * meanwhile. Sources that run untranspiled, in tests, have no script for a thread and work where they are.
 */
import { closeSync, createReadStream, mkdirSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { createGunzip } from "node:zlib";
import { InternalError } from "../../errors.js";
import { LineEnds } from "./line-ends.js";
import { TrigramWriter } from "./trigrams.js";

export type Scan =
  | { readonly kind: "line-ends"; readonly path: string }
  /** Writes the trigrams of all rows to `into`. */
  | { readonly kind: "trigrams"; readonly path: string; readonly into: string };

const PIECE = 4 << 20;

export function scanInThread(scan: Scan): Promise<Float64Array> {
  if (!import.meta.url.endsWith(".js")) return runScan(scan);
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./scan-worker.js", import.meta.url), { workerData: scan });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new InternalError(`reading ${scan.path} ended with code ${code}.`)));
  });
}

/** @returns ends of lines; nothing for trigrams */
export async function runScan(scan: Scan): Promise<Float64Array> {
  if (scan.kind === "line-ends") {
    const ends = new LineEnds();
    for await (const piece of createReadStream(scan.path, { highWaterMark: PIECE }))
      ends.take(piece as Buffer);
    return ends.end();
  }
  mkdirSync(dirname(scan.into), { recursive: true });
  const making = `${scan.into}.${process.pid}.making`;
  const file = openSync(making, "w");
  try {
    const writer = new TrigramWriter(file);
    const bytes = createReadStream(scan.path, { highWaterMark: PIECE });
    for await (const piece of scan.path.endsWith(".gz") ? bytes.pipe(createGunzip()) : bytes)
      writer.take(piece as Buffer);
    writer.end();
  } finally {
    closeSync(file);
  }
  renameSync(making, scan.into);
  return new Float64Array();
}
