/** Why processes that computed together no longer do. */
import { DistributedError } from "./errors.js";
import { native } from "./native.js";

export function rankLost(reason: string, cause?: unknown): DistributedError {
  return new DistributedError("ERR_RANK_LOST", reason, {
    fix: "look at the first rank that failed; `--resume` continues from the last complete checkpoint.",
    cause,
  });
}

/** Waits a little for the failing rank's own words. */
export function knownReason(): string | undefined {
  for (let tries = 0; tries < 30; tries++) {
    const reason = native.watchFailure();
    if (reason !== "") return reason;
    pause(100);
  }
  return undefined;
}

export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/**
 * The elements' bytes, as they lie in host memory when the device is done.
 * @throws {DistributedError} ERR_RANK_LOST when the device stopped waiting for a rank that is gone: what it holds is no result
 */
export function readBytes(handle: number, dtype: number, into?: ArrayBuffer): ArrayBuffer {
  const bytes = native.toBytes(handle, dtype, into);
  const lost = native.lostRank();
  if (lost !== "") throw rankLost(lost);
  return bytes;
}
