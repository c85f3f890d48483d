import { z } from "zod";
import { HubError } from "../errors.js";
import { type HubClient, hubBody, hubGet, withRetries } from "./hub-request.js";

/** A file in a repository of the hub. */
export interface HubFile {
  name: string;
  size: number;
  /** Of the content: SHA-256 for what Git LFS keeps, else the SHA-1 that git gives a blob. */
  hash: { algorithm: "sha256" | "git-sha1"; hex: string };
}

export interface HubRevision {
  /** Full hash: what a branch or tag stood for when it was asked. */
  commit: string;
  files: HubFile[];
}

const Sha1 = z.string().regex(/^[0-9a-f]{40}$/);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Size = z.int().nonnegative();
const Listing = z.object({
  sha: Sha1,
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: Size,
      blobId: Sha1,
      lfs: z.object({ sha256: Sha256, size: Size }).nullish(),
    }),
  ),
});

/** Listings of repositories with thousands of files stay below 2 MB. */
const MAX_LISTING_BYTES = 32 * 1024 * 1024;

/**
 * The files of one revision with their sizes and hashes.
 * @throws {ModelError} when the hub knows no such model or revision, or wants a token
 * @throws {HubError} when the hub cannot be reached or answers with something else
 */
export async function listRevision(hub: HubClient, id: string, revision: string): Promise<HubRevision> {
  const path = `/api/${id.startsWith("datasets/") ? id : `models/${id}`}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const where = `${hub.endpoint}${path}`;
  const text = await withRetries(hub, async () =>
    boundedText(hub, await hubGet(hub, path, { id, revision }), where),
  );
  const parsed = Listing.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new HubError(
      "ERR_HUB_LISTING",
      "the hub's list of files is not in the form that Hugging Face gives.",
      {
        where,
        fix: "check HF_ENDPOINT; it has to speak the API of Hugging Face.",
        cause: parsed.error,
      },
    );
  }
  const files = parsed.data.siblings.map(({ rfilename, size, blobId, lfs }): HubFile => {
    if (lfs) return { name: rfilename, size: lfs.size, hash: { algorithm: "sha256", hex: lfs.sha256 } };
    return { name: rfilename, size, hash: { algorithm: "git-sha1", hex: blobId } };
  });
  return { commit: parsed.data.sha, files };
}

/** A file's bytes from `start` on: 206 with them, 200 with the whole file, or 416 when there are none. */
export function requestFile(
  hub: HubClient,
  { id, commit }: { id: string; commit: string },
  name: string,
  start: number,
): Promise<Response> {
  const path = `/${id}/resolve/${commit}/${name.split("/").map(encodeURIComponent).join("/")}`;
  return hubGet(hub, path, { id, revision: commit }, start > 0 ? { range: `bytes=${start}-` } : {});
}

async function boundedText(hub: HubClient, response: Response, where: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of hubBody(hub, response)) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > MAX_LISTING_BYTES) {
      throw new HubError(
        "ERR_HUB_LISTING",
        `the hub's list of files is longer than ${MAX_LISTING_BYTES} bytes.`,
        { where },
      );
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
