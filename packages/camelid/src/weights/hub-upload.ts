/**
 * Files to a hub that speaks the API of Hugging Face: files that differ from what is there are sent, and one commit puts them
 * all in place. Large files go to the hub's store for large files first; what has arrived there stays, so that a second try after
 * an interruption sends only the rest.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { ModelError } from "../errors.js";
import { type HubFile, listRevision } from "./hub-api.js";
import { type UploadProgress, uploadObjects } from "./hub-objects.js";
import { parsed, post } from "./hub-post.js";
import { type HubClient, hubPost, RetryableError, withRetries } from "./hub-request.js";
import type { LocalFile } from "./local-files.js";

export interface UploadTarget {
  /** `org/name` */
  id: string;
  /** Branch. */
  revision: string;
  /** Of a repository that is not there yet. */
  private: boolean;
  message: string;
}

export interface UploadResult {
  /** What the branch stands for now. */
  commit: string;
  /** Paths in the repository that were sent or changed; empty when everything was there already. */
  changed: readonly string[];
  unchanged: number;
  created: boolean;
}

/**
 * @throws {ModelError} `ERR_HUB_ACCESS`, `ERR_HUB_NOT_FOUND`; {HubError} when the hub cannot be reached, is busy for long, or
 *   answers with something else
 */
export async function uploadFiles(
  hub: HubClient,
  files: readonly LocalFile[],
  target: UploadTarget,
  onProgress: (progress: UploadProgress) => void = () => {},
): Promise<UploadResult> {
  const { parent, created } = await openRepository(hub, target);
  const there = new Map(parent.files.map((file) => [file.name, file]));
  const changed = files.filter((file) => !isSame(file, there.get(file.path)));
  const unchanged = files.length - changed.length;
  if (changed.length === 0) return { commit: parent.commit, changed: [], unchanged, created };
  const large = await chooseLarge(hub, target, changed);
  await uploadObjects(
    hub,
    target,
    changed.filter(({ path }) => large.has(path)),
    onProgress,
  );
  const commit = await commitFiles(hub, target, changed, large, parent.commit);
  return { commit, changed: changed.map(({ path }) => path), unchanged, created };
}

function isSame(file: LocalFile, there: HubFile | undefined): boolean {
  if (there === undefined || there.size !== file.size) return false;
  return there.hash.hex === (there.hash.algorithm === "sha256" ? file.sha256 : file.gitSha1);
}

/** The branch as it is; a repository that is not there is made. */
async function openRepository(hub: HubClient, target: UploadTarget) {
  try {
    return { parent: await listRevision(hub, target.id, target.revision), created: false };
  } catch (error) {
    // Without a token that may see it, a private repository looks as if it were not there (401).
    if (!(error instanceof ModelError && error.code === "ERR_HUB_NOT_FOUND")) throw error;
  }
  const [organization, name] = target.id.split("/");
  const body = { type: "model", name, organization, private: target.private };
  await post(hub, "/api/repos/create", target, JSON.stringify(body), z.looseObject({}), [409]);
  return { parent: await listRevision(hub, target.id, target.revision), created: true };
}

const PreUpload = z.object({
  files: z.array(z.object({ path: z.string(), uploadMode: z.enum(["lfs", "regular"]) })),
});

/** The hub decides by name, size and first bytes which files go to the store for large ones. */
async function chooseLarge(
  hub: HubClient,
  target: UploadTarget,
  files: readonly LocalFile[],
): Promise<Set<string>> {
  const path = `/api/models/${target.id}/preupload/${encodeURIComponent(target.revision)}`;
  const body = {
    files: files.map(({ path, size, head }) => ({ path, size, sample: head.toString("base64") })),
  };
  const answer = await post(hub, path, target, JSON.stringify(body), PreUpload);
  return new Set(answer.files.flatMap(({ path, uploadMode }) => (uploadMode === "lfs" ? [path] : [])));
}

const Commit = z.looseObject({ commitOid: z.string().regex(/^[0-9a-f]{40}$/) });

/**
 * @param parent the commit that the changes are made to: a branch that moved meanwhile is an error and not overwritten
 */
async function commitFiles(
  hub: HubClient,
  target: UploadTarget,
  files: readonly LocalFile[],
  large: ReadonlySet<string>,
  parent: string,
): Promise<string> {
  const lines = [
    { key: "header", value: { summary: target.message, description: "", parentCommit: parent } },
    ...files.map((file) =>
      large.has(file.path)
        ? { key: "lfsFile", value: { path: file.path, algo: "sha256", oid: file.sha256, size: file.size } }
        : {
            key: "file",
            value: { path: file.path, encoding: "base64", content: readFileSync(file.local, "base64") },
          },
    ),
  ];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const path = `/api/models/${target.id}/commit/${encodeURIComponent(target.revision)}`;
  const subject = { ...target, writes: true };
  return await withRetries(hub, async () => {
    try {
      const response = await hubPost(hub, path, subject, { type: "application/x-ndjson", text });
      return parsed(Commit, await response.text(), `${hub.endpoint}${path}`).commitOid;
    } catch (error) {
      // The connection may have ended after the commit was made: a second one would be refused, or stand beside it.
      const done = error instanceof RetryableError ? await committed(hub, target, files, parent) : undefined;
      if (done !== undefined) return done;
      throw error;
    }
  });
}

/** The branch's commit, if it holds all the files and is not the parent any more. */
async function committed(
  hub: HubClient,
  { id, revision }: UploadTarget,
  files: readonly LocalFile[],
  parent: string,
): Promise<string | undefined> {
  const now = await listRevision(hub, id, revision).catch(() => undefined);
  if (now === undefined || now.commit === parent) return undefined;
  const there = new Map(now.files.map((file) => [file.name, file]));
  return files.every((file) => isSame(file, there.get(file.path))) ? now.commit : undefined;
}
