import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { readSafetensorsHeader, SafetensorsError } from "@camelid/torch";
import { afterAll, expect, test } from "vitest";
import { ModelError } from "../../packages/camelid/src/errors.js";
import { readTorchFile } from "../../packages/camelid/src/weights/tensor-unpickler.js";
import { referenceFile } from "../parity/weights/reference.js";
import { mutate, seeded } from "./mutate.js";

const root = mkdtempSync(join(tmpdir(), "weight-files-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Files here have 1 to 8 kB; what one reading may allocate besides, garbage included. */
const MAX_MEGABYTES = 16;
const MAX_MILLISECONDS = 5000;
/** All rounds of a file take seconds on an idle machine; others may be at work too. */
const TIMEOUT = 300_000;

function megabytesInUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return (used_heap_size + external_memory) / 2 ** 20;
}

/** Reads `rounds` mutated copies; returns how often each outcome came. Fails on an error of no family. */
function survive(original: Buffer, rounds: number, read: (path: string) => void) {
  const path = join(root, "mutated");
  const random = seeded(20261122);
  const outcomes = new Map<string, number>();
  let memory = megabytesInUse();
  for (let round = 0; round < rounds; round++) {
    writeFileSync(path, mutate(original, random));
    const started = performance.now();
    let outcome = "read";
    try {
      read(path);
    } catch (error) {
      if (!(error instanceof ModelError || error instanceof SafetensorsError)) {
        throw new Error(`round ${round} ended in an error of no family`, { cause: error });
      }
      outcome = error.code;
    }
    expect(performance.now() - started, `milliseconds of round ${round}`).toBeLessThan(MAX_MILLISECONDS);
    const memoryAfter = megabytesInUse();
    expect(memoryAfter - memory, `megabytes of round ${round}`).toBeLessThan(MAX_MEGABYTES);
    memory = memoryAfter;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  return outcomes;
}

test.each([
  ["reference.safetensors", 3000],
  ["aligned.safetensors", 1000],
])(
  "%s, mutated %i times, is read or refused",
  (name, rounds) => {
    const outcomes = survive(readFileSync(referenceFile(name)), rounds, (path) => {
      const { tensors, dataOffset, fileSize } = readSafetensorsHeader(path);
      // What passes has to be exactly what may be mapped.
      expect(fileSize).toBe(readFileSync(path).byteLength);
      let position = 0;
      for (const { begin, end } of tensors.values()) {
        expect(begin).toBe(position);
        position = end;
      }
      expect(dataOffset + position).toBe(fileSize);
    });
    // Both outcomes have to occur, or the mutations are too weak or too strong to test anything.
    expect(outcomes.get("read")).toBeGreaterThan(rounds / 100);
    expect(outcomes.size).toBeGreaterThan(4);
  },
  TIMEOUT,
);

test.each([
  ["no-crc.bin", 3000], // no checksum hides the pickle
  ["legacy.bin", 3000],
  ["protocol4.bin", 1000],
  ["zip64.bin", 1000],
  ["hostile-nested.bin", 500],
])(
  "%s, mutated %i times, is read or refused",
  (name, rounds) => {
    const outcomes = survive(readFileSync(referenceFile(name)), rounds, (path) => {
      for (const entry of readTorchFile(path)) {
        const bytes = entry.read();
        if (entry.slice !== undefined) expect(entry.slice.length).toBe(bytes.byteLength);
      }
    });
    if (!name.startsWith("hostile")) expect(outcomes.get("read")).toBeGreaterThan(rounds / 100);
    expect(outcomes.size).toBeGreaterThan(3);
  },
  TIMEOUT,
);
