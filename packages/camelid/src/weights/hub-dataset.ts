import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ModelError, SettingsError } from "../errors.js";
import type { HubFile } from "./hub-api.js";
import { type ResolveOptions, resolveRepository } from "./hub-cache.js";

/**
 * Data sets by name, fetched like models: `hub:org/name@revision` takes the data files of its train split (all data
 * files where no name says `train`), `hub:org/name@revision:PATTERN` the files whose path matches; `*` stands for
 * any characters.
 */
export interface ResolvedDataset {
  /** Paths on this machine, in the order of their names. */
  files: string[];
  hub: { id: string; revision: string; commit: string };
}

/** Whether a file name of a mixture is a data set on the hub. */
export function isHubDataset(name: string): boolean {
  return name.startsWith("hub:");
}

/**
 * @throws {SettingsError} when the name is malformed, {ModelError} when nothing matches or the hub knows no such thing
 * @throws {HubError} when the hub cannot be reached or sends something else than it lists
 */
export async function resolveDataset(name: string, options: ResolveOptions = {}): Promise<ResolvedDataset> {
  const match = /^hub:([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w./-]*))?(?::(.+))?$/.exec(name);
  const [, id, revision = "main", pattern] = match ?? [];
  if (id === undefined || name.includes("..")) {
    throw new SettingsError("ERR_HUB_DATASET", `"${name}" is not the name of a data set on the hub.`, {
      fix: "write hub:org/name, hub:org/name@revision, or hub:org/name@revision:data/train-*.parquet.",
    });
  }
  const select = (files: readonly HubFile[], where: string) => dataFiles(files, pattern, where);
  const variant =
    pattern === undefined ? undefined : createHash("sha256").update(pattern).digest("hex").slice(0, 12);
  const source = { id: `datasets/${id}`, revision, ...(variant !== undefined && { variant }) };
  const { folder, hub } = await resolveRepository(source, select, options);
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return { files: names.sort(), hub };
}

const DATA = /\.(jsonl?|ndjson|csv|tsv|parquet|xlsx)(\.gz)?$/i;

function dataFiles(files: readonly HubFile[], pattern: string | undefined, where: string): HubFile[] {
  // Names come from outside: what could leave the folder is not fetched.
  const safe = files.filter(({ name }) => !/(^|\/)\.\.?(\/|$)|^\/|[\\:\0]/.test(name));
  const data = safe.filter(({ name }) => DATA.test(name));
  const train = data.filter(({ name }) => /train/i.test(name));
  const escaped = pattern?.replace(/[\\^$.+?()[\]{}|]/g, "\\$&").replaceAll("*", ".*");
  const chosen =
    escaped === undefined
      ? train.length > 0
        ? train
        : data
      : safe.filter(({ name }) => new RegExp(`^${escaped}$`).test(name));
  if (chosen.length > 0) return chosen;
  throw new ModelError(
    "ERR_HUB_DATASET_FILES",
    pattern === undefined ? "the data set has no data files." : `no file matches ${pattern}.`,
    {
      where,
      fix: `it holds ${files
        .map(({ name }) => name)
        .slice(0, 20)
        .join(", ")}.`,
    },
  );
}
