/** Whether the disk has room for the result of a run: found out before the first step, not after the last one. */
import { existsSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { TrainingError } from "../errors.js";

/**
 * @param out the run's folder, which may not be there yet
 * @param resultBytes size of the weights that are saved at the end
 * @throws {TrainingError} ERR_DISK_SPACE
 */
export function requireDiskSpace(out: string, resultBytes: number, freeBytes = freeAt(resolve(out))): void {
  if (freeBytes >= resultBytes) return;
  throw new TrainingError(
    "ERR_DISK_SPACE",
    `the result takes ${mib(resultBytes)}, and the disk has ${mib(freeBytes)}.`,
    { where: out, fix: "free space or choose another --out; nothing was written." },
  );
}

function freeAt(path: string): number {
  if (!existsSync(path) && dirname(path) !== path) return freeAt(dirname(path));
  const { bavail, bsize, blocks } = statfsSync(path);
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize; // some file systems do not say
}

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en-US")} MiB`;
