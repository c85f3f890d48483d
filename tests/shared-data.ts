import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Folder of real data files in the raw formats of every source, or undefined where it is absent: tests that need it
 * then skip, visibly. Set CAMELID_SHARED_DATA to point somewhere else than `../shared/data` beside the repository.
 */
export function sharedData(): string | undefined {
  const named = process.env.CAMELID_SHARED_DATA;
  const folder = named ? resolve(named) : fileURLToPath(new URL("../../shared/data", import.meta.url));
  return existsSync(folder) ? folder : undefined;
}
