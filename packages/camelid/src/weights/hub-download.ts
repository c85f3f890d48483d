import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { HubError } from "../errors.js";
import { type HubFile, requestFile } from "./hub-api.js";
import { type HubClient, hubBody, withRetries } from "./hub-request.js";

/**
 * Fetches one file into `blobs/<hash>`, where it is complete or absent: it grows as a `.part` file, which an
 * interrupted download leaves for the next one to go on with, and takes its name once size and hash agree.
 * @param onBytes told how many bytes of this file are here
 * @returns path of the file
 * @throws {HubError} when the hub cannot be reached, or sends something else than it listed
 */
export async function downloadBlob(
  hub: HubClient,
  blobs: string,
  source: { id: string; commit: string },
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const path = join(blobs, file.hash.hex);
  if (existsSync(path) && statSync(path).size === file.size) {
    onBytes(file.size);
    return path;
  }
  const part = adoptPart(blobs, file);
  const resumed = existsSync(part);
  let sound = await fillPart(hub, part, source, file, onBytes);
  // What an earlier run left may be what is wrong; what was just sent is the hub's fault.
  if (!sound && resumed) sound = await fillPart(hub, part, source, file, onBytes);
  if (!sound) {
    throw new HubError(
      "ERR_HUB_CHECKSUM",
      `the bytes received for ${file.name} are not those that the hub lists.`,
      {
        where: `${hub.endpoint}, model ${source.id}, commit ${source.commit}`,
        fix: "try again; if it happens again, check what stands between here and the hub, such as a proxy.",
      },
    );
  }
  renameSync(part, path);
  return path;
}

/**
 * The name under which this process collects the file. What a process that ended has left is taken over by
 * renaming it: of two that try, one succeeds. Two processes at once download twice, but never into one file.
 */
function adoptPart(blobs: string, file: HubFile): string {
  const own = join(blobs, `${file.hash.hex}.${process.pid}.part`);
  for (const name of readdirSync(blobs)) {
    const [hash, pid, suffix] = name.split(".");
    if (hash !== file.hash.hex || suffix !== "part" || isRunning(Number(pid))) continue;
    try {
      renameSync(join(blobs, name), own);
      break;
    } catch {
      // Another process was faster.
    }
  }
  return own;
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false; // a part of ours that another call left
  try {
    process.kill(pid, 0); // sends nothing, only asks
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @returns whether size and hash agree; if not, the part is gone */
async function fillPart(
  hub: HubClient,
  path: string,
  source: { id: string; commit: string },
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  const fd = openSync(path, existsSync(path) ? "r+" : "w+");
  let sound = false;
  try {
    const part = new Part(fd, file);
    onBytes(part.size);
    await withRetries(
      hub,
      () => receive(hub, part, source, file, onBytes),
      () => part.size,
    );
    fsyncSync(fd);
    sound = part.size === file.size && part.digest() === file.hash.hex;
  } finally {
    closeSync(fd);
  }
  if (!sound) rmSync(path, { force: true });
  return sound;
}

/** Asks for what is missing and appends it, until the part is as long as the file or longer. */
async function receive(
  hub: HubClient,
  part: Part,
  source: { id: string; commit: string },
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  while (part.size < file.size) {
    const asked = part.size;
    const response = await requestFile(hub, source, file.name, asked);
    const start = contentStart(response);
    if (start !== asked) part.reset(); // the hub does no ranges, or sees another file than the part is of
    if (start !== part.size) {
      await response.body?.cancel();
      if (asked > 0) continue;
      throw new HubError(
        "ERR_HUB_ANSWER",
        `the hub answered ${response.status} instead of the file ${file.name}.`,
        {
          where: `${hub.endpoint}, model ${source.id}, commit ${source.commit}`,
        },
      );
    }
    const before = part.size;
    for await (const chunk of hubBody(hub, response)) {
      part.append(chunk);
      onBytes(part.size);
      // More than was listed: the connection is dropped rather than the disk filled.
      if (part.size > file.size) return;
    }
    // A complete answer that is too short: the same again would be too.
    if (part.size === before || response.status === 200) return;
  }
}

/** Where the body of an answer belongs in the file. */
function contentStart(response: Response): number | undefined {
  if (response.status === 200) return 0;
  if (response.status !== 206) return undefined;
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  return start === undefined ? undefined : Number(start);
}

/** The bytes that are here, and their hash so far. */
class Part {
  size = 0;
  #hash: Hash;

  constructor(
    readonly fd: number,
    readonly file: HubFile,
  ) {
    this.#hash = this.#freshHash();
    const buffer = new Uint8Array(4 * 1024 * 1024);
    for (;;) {
      const count = readSync(fd, buffer, 0, buffer.byteLength, this.size);
      if (count === 0) break;
      this.#hash.update(buffer.subarray(0, count));
      this.size += count;
    }
    if (this.size > file.size) this.reset();
  }

  append(chunk: Uint8Array): void {
    for (let done = 0; done < chunk.byteLength; ) {
      done += writeSync(this.fd, chunk, done, chunk.byteLength - done, this.size + done);
    }
    this.#hash.update(chunk);
    this.size += chunk.byteLength;
  }

  reset(): void {
    ftruncateSync(this.fd, 0);
    this.size = 0;
    this.#hash = this.#freshHash();
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  /** Git hashes a blob's length along with its content. */
  #freshHash(): Hash {
    return this.file.hash.algorithm === "sha256"
      ? createHash("sha256")
      : createHash("sha1").update(`blob ${this.file.size}\0`);
  }
}
