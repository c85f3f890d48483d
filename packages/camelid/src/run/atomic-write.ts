import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError } from "./file-error.js";

/**
 * Replaces `path` as one action: a reader, or a crash at any moment, finds the old content or the new, never
 * a part. The content goes to a temporary file in the same folder (rename is atomic only within a file
 * system), is forced to disk, and then takes the name.
 *
 * Synchronous, so that nothing else of this process runs between the steps.
 *
 * @throws {TrainingError} `ERR_DISK_FULL`, `ERR_NOT_WRITABLE`: the target is untouched and no temporary file stays
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = temporaryName(path);
  let fd: number | undefined;
  try {
    fd = openSync(temporary, "wx");
    writeFully(fd, data);
    fsyncSync(fd);
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    tryTo(() => rmSync(temporary, { force: true }));
    throw fileError(error, path);
  }
}

/**
 * Makes a folder that is complete or absent. `fill` writes into a temporary folder beside the target; every
 * file is forced to disk before the folder takes its name. What a failed `fill` left behind is removed.
 *
 * @param options `replace` exchanges a folder that is there already for the new one, once that is complete
 * @throws {TrainingError} `ERR_FOLDER_EXISTS` when `path` is there already and is not to be replaced
 */
export async function writeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void> | void,
  { replace = false }: { replace?: boolean } = {},
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    await mkdir(temporary);
    await fill(temporary);
    await syncTree(temporary);
    if (replace && existsSync(path)) {
      const old = temporaryName(path);
      await rename(path, old);
      await rename(temporary, path);
      await rm(old, { recursive: true, force: true });
    } else {
      await rename(temporary, path);
    }
    syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw fileError(error, path);
  }
}

/** Whether a name in a folder is a leftover of a process that was killed in the middle of an atomic write. */
export function isTemporaryName(name: string): boolean {
  return /^\..+\.[0-9a-f]{12}\.tmp$/.test(name);
}

/** Cleaning up after an error must not hide it: on a read-only disk nothing can be removed either. */
function tryTo(cleanUp: () => void): void {
  try {
    cleanUp();
  } catch {}
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
}

/** A single write may stop early (a nearly full disk, a signal); this one goes on until all is written. */
export function writeFully(fd: number, data: string | Uint8Array): void {
  const bytes = typeof data === "string" ? Buffer.from(data, "utf8") : data;
  let written = 0;
  while (written < bytes.byteLength) written += writeSync(fd, bytes, written, bytes.byteLength - written);
}

/** The new name is in the folder's own data; not every system can force a folder to disk. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      await syncTree(path);
    } else if (entry.isFile()) {
      const file = await open(path, "r+");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
  }
  syncFolder(folder);
}
