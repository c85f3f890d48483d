/** Names of models on a hub, and where a fetched one lies in the cache. Knows the layout only; `weights/hub-cache.ts` fills it. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { cacheDirectory } from "./cache-directory.js";

export interface HubName {
  /** `org/name` */
  id: string;
  /** Branch, tag or commit; `main` when the name says nothing. */
  revision: string;
}

/** `org/name` or `org/name@revision`; undefined for anything else, such as a path. */
export function parseHubName(name: string): HubName | undefined {
  const match = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w./-]*))?$/.exec(name);
  const [, id, revision = "main"] = match ?? [];
  return id === undefined || name.includes("..") ? undefined : { id, revision };
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Folder of a repository in the cache. @param key the id; a choice of its files adds to it */
export function repositoryFolder(key: string, cache: string = cacheDirectory()): string {
  return join(cache, "hub", key.replaceAll("/", "--"));
}

/** The commit that a branch or tag stood for when it was last asked; undefined when it never was. */
export function knownCommit(repository: string, revision: string): string | undefined {
  if (isCommit(revision)) return revision;
  const ref = join(repository, "refs", encodeURIComponent(revision));
  return existsSync(ref) ? readFileSync(ref, "utf8").trim() : undefined;
}

/**
 * The folder that a model's name stands for: a local folder is itself, the name of a fetched model its snapshot. Anything else
 * comes back as it is, for the reader to complain about. Asks nobody; `fetchModel` is what fetches.
 */
export function modelFolder(name: string, cache?: string): string {
  if (existsSync(name) && statSync(name).isDirectory()) return name;
  const hub = parseHubName(name);
  if (hub === undefined) return name;
  const repository = repositoryFolder(hub.id, cache);
  const commit = knownCommit(repository, hub.revision);
  const snapshot = commit === undefined ? undefined : join(repository, "snapshots", commit);
  return snapshot !== undefined && existsSync(snapshot) ? snapshot : name;
}

/** The hub's name of a model, from the place of its snapshot in a cache; undefined for any other folder. */
export function hubNameOf(folder: string): HubName | undefined {
  const parts = folder.split(sep);
  const [hub, key, snapshots] = parts.slice(-4);
  const revision = basename(folder);
  if (hub !== "hub" || snapshots !== "snapshots" || !isCommit(revision) || key === undefined)
    return undefined;
  const name = parseHubName(key.replace("--", "/"));
  return name === undefined || dirname(folder) === folder ? undefined : { id: name.id, revision };
}
