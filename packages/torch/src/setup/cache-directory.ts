/** Where things that can be made again are kept: $CAMELID_CACHE, else the platform's cache folder. */
import { homedir } from "node:os";
import { join } from "node:path";

export function cacheDirectory(): string {
  const { CAMELID_CACHE, XDG_CACHE_HOME } = process.env;
  if (CAMELID_CACHE) return CAMELID_CACHE;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "camelid");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "camelid");
  return join(homedir(), ".cache", "camelid");
}
