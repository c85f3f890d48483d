/** Large files to the hub's store: Git LFS's batch protocol, with files in one piece or in parts. */
import { z } from "zod";
import { HubError } from "../errors.js";
import { post } from "./hub-post.js";
import { putBytes } from "./hub-put.js";
import { type HubClient, RetryableError, withRetries } from "./hub-request.js";
import type { LocalFile } from "./local-files.js";

const LFS = "application/vnd.git-lfs+json";

const Action = z.object({
  href: z.url(),
  header: z.record(z.string(), z.union([z.string(), z.number()]).transform(String)).default({}),
});
const Batch = z.object({
  objects: z.array(
    z.object({
      oid: z.string(),
      actions: z.object({ upload: Action.optional(), verify: Action.optional() }).nullish(),
      error: z.object({ message: z.string() }).nullish(),
    }),
  ),
});

export interface UploadProgress {
  file: string;
  doneBytes: number;
  totalBytes: number;
}

interface Target {
  id: string;
  revision: string;
}

/** Sends what the store does not have yet. Each file is whole in the store before the next one begins. */
export async function uploadObjects(
  hub: HubClient,
  target: Target,
  files: readonly LocalFile[],
  onProgress: (progress: UploadProgress) => void,
): Promise<void> {
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of files) {
    // Asked for file by file: addresses to send to are good for an hour or so, and a large file can take longer.
    const report = (bytes: number) => onProgress({ file: file.path, doneBytes: before + bytes, totalBytes });
    await uploadObject(hub, target, file, report);
    before += file.size;
    report(0);
  }
}

async function uploadObject(
  hub: HubClient,
  target: Target,
  file: LocalFile,
  report: (bytes: number) => void,
): Promise<void> {
  const body = {
    operation: "upload",
    transfers: ["basic", "multipart"],
    hash_algo: "sha256",
    ref: { name: target.revision },
    objects: [{ oid: file.sha256, size: file.size }],
  };
  const path = `/${target.id}.git/info/lfs/objects/batch`;
  const { objects } = await post(hub, path, target, JSON.stringify(body), Batch, [], LFS);
  const object = objects.find(({ oid }) => oid === file.sha256);
  if (object === undefined || object.error) {
    const reason = object?.error?.message ?? "it is missing from the answer";
    throw new HubError("ERR_HUB_UPLOAD", `the hub does not take ${file.path}: ${reason}.`, {
      where: `${hub.endpoint}${path}`,
      fix: "check the quota and the rules of the repository.",
    });
  }
  const { upload, verify } = object.actions ?? {};
  if (upload === undefined) return; // the store has it
  if (upload.header.chunk_size !== undefined) await uploadParts(hub, file, upload, report);
  else await putBytes(hub, upload.href, { file, start: 0, length: file.size }, upload.header, report);
  if (verify !== undefined) await sendJson(hub, verify, { oid: file.sha256, size: file.size });
}

/** The header names a part's size and, by number, an address for each; the address of the action joins them. */
async function uploadParts(
  hub: HubClient,
  file: LocalFile,
  { href, header }: z.output<typeof Action>,
  report: (bytes: number) => void,
): Promise<void> {
  const size = Number(header.chunk_size);
  const addresses = Object.entries(header)
    .filter(([key]) => /^\d+$/.test(key)) // "1" or "00001"
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, address]) => address);
  const count = size > 0 ? Math.ceil(file.size / size) : Number.NaN;
  if (addresses.length !== count || !addresses.every((address) => URL.canParse(address))) {
    throw new HubError(
      "ERR_HUB_ANSWER",
      `the hub gave no addresses for the ${count} parts of ${file.path}.`,
      {
        where: href,
        fix: "try again; if it happens again, the hub speaks another protocol.",
      },
    );
  }
  const parts: { partNumber: number; etag: string }[] = [];
  for (const [i, address] of addresses.entries()) {
    const start = i * size;
    const piece = { file, start, length: Math.min(size, file.size - start) };
    const etag = await putBytes(hub, address, piece, {}, (bytes) => report(start + bytes));
    parts.push({ partNumber: i + 1, etag });
  }
  await sendJson(hub, { href, header: {} }, { oid: file.sha256, parts });
}

/** To an address that the hub gave. It carries its own permission; the token goes along only to the hub itself. */
async function sendJson(
  hub: HubClient,
  { href, header }: z.output<typeof Action>,
  body: object,
): Promise<void> {
  const isHub = new URL(href).origin === new URL(hub.endpoint).origin;
  const authorization = hub.token !== undefined && isHub ? { authorization: `Bearer ${hub.token}` } : {};
  await withRetries(hub, async () => {
    const failed = (reason: string): HubError =>
      new HubError("ERR_HUB_UPLOAD", `the hub did not confirm what was sent (${reason}).`, {
        where: new URL(href).origin,
        fix: "try again: what has been transferred is kept.",
      });
    let response: Response;
    try {
      response = await fetch(href, {
        method: "POST",
        headers: { "content-type": LFS, accept: LFS, ...header, ...authorization },
        body: JSON.stringify(body),
        signal: hub.signal ?? null,
      });
    } catch (error) {
      if (hub.signal?.aborted) throw error;
      throw new RetryableError(failed((error as Error).message));
    }
    await response.body?.cancel();
    if (response.ok) return;
    const failure = failed(`${response.status} ${response.statusText}`.trim());
    throw response.status >= 500 || response.status === 429 ? new RetryableError(failure) : failure;
  });
}
