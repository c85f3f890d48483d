/** `--download`: official files into the cache, each complete and checked or absent. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { HubError } from "../errors.js";
import { writeFileAtomic } from "../run/atomic-write.js";
import { DataFolder, type OfficialFile } from "./data-folder.js";
import { readTar } from "./tar.js";

export interface DownloadOptions {
  /** Where files go, by their path: the download cache. */
  into: string;
  /** Folders that are looked at first: what is there is not fetched. */
  have: readonly string[];
  signal?: AbortSignal;
  onFile?(path: string, done: number, total: number): void;
  /** Pause before a second try in milliseconds; for tests. */
  pauseMs?: number;
}

const TRIES = 4;
/** No official file comes near; a server that sends more sends something else. */
const LARGEST_BYTES = 512 * 1024 * 1024;

/**
 * Fetches what is missing of the files that have an address.
 * @returns paths of the files fetched
 * @throws {HubError} ERR_EVAL_DOWNLOAD, ERR_EVAL_CHECKSUM: that file is absent, those before it are there
 */
export async function downloadFiles(
  files: readonly OfficialFile[],
  options: DownloadOptions,
): Promise<string[]> {
  const folder = new DataFolder([...options.have, options.into], files);
  const missing = files.filter(({ path, url }) => url !== undefined && folder.find(path) === undefined);
  // Members of one archive come with one download.
  const byUrl = new Map<string, OfficialFile[]>();
  for (const file of missing) byUrl.set(file.url!, [...(byUrl.get(file.url!) ?? []), file]);
  let done = 0;
  for (const [url, wanted] of byUrl) {
    const bytes = await fetchBytes(url, options);
    const archive = wanted[0]!.member === undefined ? undefined : readTar(unzipped(bytes), url);
    for (const file of wanted) {
      const content = archive === undefined ? withoutGzip(file, bytes) : archive.get(file.member!);
      if (content === undefined) throw problem(url, `the archive has no ${file.member}`);
      check(file, content);
      const target = join(options.into, file.path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileAtomic(target, content);
      options.onFile?.(file.path, ++done, missing.length);
    }
  }
  return missing.map(({ path }) => path);
}

function check({ path, sha256, url }: OfficialFile, content: Uint8Array): void {
  if (sha256 === undefined) return;
  const found = createHash("sha256").update(content).digest("hex");
  if (found === sha256) return;
  throw new HubError("ERR_EVAL_CHECKSUM", `what came for ${path} is not the official file.`, {
    where: `${url}: sha256 ${found}, expected ${sha256}`,
    fix: "try again; if it happens again, look at what stands between here and the server, such as a proxy.",
  });
}

async function fetchBytes(url: string, { signal, pauseMs = 1000 }: DownloadOptions): Promise<Uint8Array> {
  for (let tried = 1; ; tried++) {
    try {
      const response = await fetch(url, signal === undefined ? {} : { signal });
      if (!response.ok) {
        const passing = response.status === 429 || response.status >= 500;
        if (!passing || tried >= TRIES) throw problem(url, `the server answered ${response.status}`);
      } else {
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length > LARGEST_BYTES) throw problem(url, `the server sent ${bytes.length} bytes`);
        return bytes;
      }
    } catch (error) {
      if (error instanceof HubError || signal?.aborted) throw error;
      if (tried >= TRIES) throw problem(url, (error as Error).message, error);
    }
    await sleep(pauseMs * 2 ** (tried - 1));
  }
}

function unzipped(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}

/** Checksums are of the file at `path`; an address that ends in .gz sends it packed. */
function withoutGzip({ path }: OfficialFile, bytes: Uint8Array): Uint8Array {
  return path.endsWith(".gz") ? bytes : unzipped(bytes);
}

function problem(url: string, what: string, cause?: unknown): HubError {
  return new HubError("ERR_EVAL_DOWNLOAD", `a benchmark file could not be fetched: ${what}.`, {
    where: url,
    fix: "try again, or get the file by other means and name its folder with --data.",
    cause,
  });
}
