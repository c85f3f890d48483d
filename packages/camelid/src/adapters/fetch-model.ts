import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { modelFolder, parseHubName } from "../run/hub-names.js";
import { type ResolveOptions, resolveModel } from "../weights/hub-cache.js";
import { hubNameWith, isAdapterFolder, readAdapterConfig } from "./adapter-file.js";

/**
 * Makes sure that a model is on this machine, and the base of an adapter with it. Everything that takes a model's folder takes
 * the returned name too.
 * @param name a local folder, which wins; or `org/name`, `org/name@revision` on the hub
 * @returns the folder as it was given, or `org/name@commit`: the same weights whenever it is used again
 * @throws what `resolveModel` throws; a name that is neither comes back for the reader to complain about
 */
export async function fetchModel(name: string, options: ResolveOptions = {}): Promise<string> {
  const pinned = await fetchOne(name, options);
  const folder = modelFolder(pinned, options.cache);
  if (!isAdapterFolder(folder)) return pinned;
  const { baseModel, baseRevision } = readAdapterConfig(folder);
  if (baseModel !== undefined && !isLocal(baseModel, folder))
    await fetchOne(hubNameWith(baseModel, baseRevision), options);
  return pinned;
}

async function fetchOne(name: string, options: ResolveOptions): Promise<string> {
  if (existsSync(name) || parseHubName(name) === undefined || isMistypedPath(name)) return name;
  const { hub } = await resolveModel(name, options);
  return hub === undefined ? name : `${hub.id}@${hub.commit}`;
}

/** `out/frist` where there is a folder `out`: nobody on the hub is asked for it, unless a revision says that a hub is meant. */
function isMistypedPath(name: string): boolean {
  return !name.includes("@") && existsSync(name.split("/")[0]!);
}

function isLocal(base: string, adapterFolder: string): boolean {
  return existsSync(base) || (!isAbsolute(base) && existsSync(join(adapterFolder, base)));
}
