import { copyFileSync, existsSync, linkSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ModelError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../run/atomic-write.js";
import { cacheDirectory } from "../run/cache-directory.js";
import { type HubName, isCommit, knownCommit, parseHubName, repositoryFolder } from "../run/hub-names.js";
import { type HubFile, listRevision } from "./hub-api.js";
import { hubClient } from "./hub-client.js";
import { downloadBlob } from "./hub-download.js";
import type { HubClient } from "./hub-request.js";
import { modelFiles } from "./model-files.js";

/**
 * Models by name. `org/name` or `org/name@revision` is fetched from a hub that speaks the API of Hugging Face, once;
 * anything that is a folder on this machine is that folder. In the cache:
 *
 *     hub/org--name/refs/main             the commit that a branch or tag stood for when it was last asked
 *     hub/org--name/blobs/<hash>          files by content: a new commit downloads only what has changed
 *     hub/org--name/snapshots/<commit>/   a model folder, complete or absent, hard links into blobs
 */
export interface ResolveOptions {
  /** `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` are honoured. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Default: the folder of {@link cacheDirectory}. */
  cache?: string;
  /** Use only what is in the cache. Default: whether `HF_HUB_OFFLINE` is set. */
  offline?: boolean;
  onProgress?: (progress: HubProgress) => void;
  signal?: AbortSignal;
  /** Waits between tries. */
  sleep?: (milliseconds: number) => Promise<void>;
}

export interface HubProgress {
  file: string;
  /** Of all files together, found in the cache or received. */
  doneBytes: number;
  totalBytes: number;
}

export interface ResolvedModel {
  folder: string;
  /** Where it came from, unless it is a folder of the user's: for lineage and model cards. */
  hub?: { id: string; revision: string; commit: string };
}

/**
 * A local folder for a model's name.
 * @throws {ModelError} when there is no such folder, model or revision, or access to it
 * @throws {HubError} when the hub cannot be reached or sends something else than it lists
 * @throws {SettingsError} when `HF_ENDPOINT` is no address
 */
export async function resolveModel(name: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  if (existsSync(name) && statSync(name).isDirectory()) return { folder: name };
  return await resolveRepository(hubName(name), modelFiles, options);
}

export interface ResolvedRepository {
  folder: string;
  hub: { id: string; revision: string; commit: string };
}

/**
 * A snapshot of some files of a repository, fetched once. A data set's id starts with `datasets/`.
 * @param select which of its files are wanted; another choice needs another `variant`, since a snapshot is complete
 * @throws as {@link resolveModel}
 */
export async function resolveRepository(
  { id, revision, variant }: { id: string; revision: string; variant?: string },
  select: (files: readonly HubFile[], where: string) => HubFile[],
  options: ResolveOptions = {},
): Promise<ResolvedRepository> {
  const { env = process.env } = options;
  const key = variant === undefined ? id : `${id}--${variant}`;
  const repository = repositoryFolder(key, options.cache ?? cacheDirectory());
  const snapshot = (commit: string) => join(repository, "snapshots", commit);
  const ref = join(repository, "refs", encodeURIComponent(revision));
  const pinned = isCommit(revision);

  if (pinned && existsSync(snapshot(revision))) {
    return { folder: snapshot(revision), hub: { id, revision, commit: revision } };
  }
  if (options.offline ?? isSet(env.HF_HUB_OFFLINE)) {
    const commit = knownCommit(repository, revision) ?? revision;
    if (existsSync(snapshot(commit))) return { folder: snapshot(commit), hub: { id, revision, commit } };
    throw new ModelError("ERR_HUB_OFFLINE", `${id} is not in the cache, and the network is switched off.`, {
      where: repository,
      fix: "unset HF_HUB_OFFLINE for the first use of a model, or give the path of a local folder.",
    });
  }
  const hub = hubClient(options);
  const { commit, files } = await listRevision(hub, id, revision);
  if (!existsSync(snapshot(commit))) {
    const wanted = select(files, `${hub.endpoint}/${id}`);
    await download(hub, repository, { id, commit }, wanted, options.onProgress);
  }
  // Last: a branch is known here only once its files are.
  if (!pinned) {
    mkdirSync(join(repository, "refs"), { recursive: true });
    writeFileAtomic(ref, `${commit}\n`);
  }
  return { folder: snapshot(commit), hub: { id, revision, commit } };
}

async function download(
  hub: HubClient,
  repository: string,
  source: { id: string; commit: string },
  files: readonly HubFile[],
  onProgress: ResolveOptions["onProgress"],
): Promise<void> {
  const blobs = join(repository, "blobs");
  mkdirSync(blobs, { recursive: true });
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  const paths: [name: string, blob: string][] = [];
  let before = 0;
  for (const file of files) {
    const report = (bytes: number) =>
      onProgress?.({ file: file.name, doneBytes: before + bytes, totalBytes });
    paths.push([file.name, await downloadBlob(hub, blobs, source, file, report)]);
    before += file.size;
  }
  const snapshot = join(repository, "snapshots", source.commit);
  try {
    await writeFolderAtomic(snapshot, (folder) => {
      for (const [name, blob] of paths) {
        mkdirSync(dirname(join(folder, name)), { recursive: true }); // data sets keep files in folders
        linkOrCopy(blob, join(folder, name));
      }
    });
  } catch (error) {
    if (!existsSync(snapshot)) throw error; // else another process was faster
  }
}

/** Not every file system has hard links (exFAT, some network disks). */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** @throws {ModelError} when this is neither a name on the hub nor a folder */
function hubName(name: string): HubName {
  const parsed = parseHubName(name);
  if (parsed !== undefined) return parsed;
  throw new ModelError("ERR_MODEL_NAME", `there is no folder "${name}", and it is not a name on the hub.`, {
    where: name,
    fix: "give a folder that exists, or org/name, or org/name@revision such as allenai/tulu-2-7b@main.",
  });
}

/** As Hugging Face's own library reads its switches. */
const isSet = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? "");
