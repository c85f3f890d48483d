/** Checksums of a folder's files: taken when it is written, compared before it is trusted. */
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

export interface FileChecksum {
  size_bytes: number;
  /** Lower-case hex. */
  sha256: string;
}

/** @returns checksums by path relative to `folder`, for all files below it */
export async function folderChecksums(folder: string): Promise<Record<string, FileChecksum>> {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
  const checksums: Record<string, FileChecksum> = {};
  for (const path of paths) checksums[path] = await fileChecksum(join(folder, path));
  return checksums;
}

/** @returns one sentence per file that is missing, cut, altered or unreadable; files that are not listed do not matter */
export async function changedFiles(
  folder: string,
  expected: Readonly<Record<string, FileChecksum>>,
): Promise<string[]> {
  const changes: string[] = [];
  for (const [path, { size_bytes, sha256 }] of Object.entries(expected)) {
    const stats = statSync(join(folder, path), { throwIfNoEntry: false });
    if (!stats?.isFile()) changes.push(`${path} is missing`);
    else if (stats.size !== size_bytes)
      changes.push(`${path} has ${stats.size} bytes instead of ${size_bytes}`);
    else {
      const found = await fileChecksum(join(folder, path)).catch((error: NodeJS.ErrnoException) => error);
      if (found instanceof Error) changes.push(`${path} cannot be read (${found.code ?? found.message})`);
      else if (found.sha256 !== sha256) changes.push(`${path} was altered: its sha256 is another`);
    }
  }
  return changes;
}

async function fileChecksum(path: string): Promise<FileChecksum> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { size_bytes: size, sha256: hash.digest("hex") };
}
