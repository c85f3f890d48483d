import { createHash } from "node:crypto";
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** A file to be uploaded. */
export interface LocalFile {
  /** In the repository, with forward slashes. */
  path: string;
  local: string;
  size: number;
  sha256: string;
  /** As git names a blob. */
  gitSha1: string;
  /** The first 512 bytes. */
  head: Buffer;
}

const HEAD_BYTES = 512;

/** All files of a folder but hidden ones, in order of their paths, with their hashes. */
export async function localFiles(folder: string): Promise<LocalFile[]> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !name.split(sep).some((part) => part.startsWith(".")))
    .sort();
  const files: LocalFile[] = [];
  for (const name of names) files.push(await hashed(join(folder, name), name.split(sep).join("/")));
  return files;
}

async function hashed(local: string, path: string): Promise<LocalFile> {
  const { size } = statSync(local);
  const sha256 = createHash("sha256");
  const git = createHash("sha1").update(`blob ${size}\0`);
  let head = Buffer.alloc(0);
  for await (const chunk of createReadStream(local) as AsyncIterable<Buffer>) {
    sha256.update(chunk);
    git.update(chunk);
    if (head.byteLength < HEAD_BYTES)
      head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.byteLength)]);
  }
  return { path, local, size, sha256: sha256.digest("hex"), gitSha1: git.digest("hex"), head };
}
