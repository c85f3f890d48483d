import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { SettingsError } from "../errors.js";

export interface CacheEnvironment {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  home: string;
}

/**
 * Where downloads and builds are kept between runs. The first of these that is set decides:
 * `CAMELID_CACHE`; `XDG_CACHE_HOME`/camelid; then the habit of the system: `~/Library/Caches/camelid` on
 * macOS, `%LOCALAPPDATA%\camelid\Cache` on Windows, `~/.cache/camelid` elsewhere. Creates nothing.
 *
 * @throws {SettingsError} `ERR_CACHE_PATH` when `CAMELID_CACHE` is not an absolute path: a relative one would
 *   start a new cache in every working folder
 */
export function cacheDirectory(
  { env, platform, home }: CacheEnvironment = {
    env: process.env,
    platform: process.platform,
    home: homedir(),
  },
): string {
  const own = env.CAMELID_CACHE;
  if (own) {
    if (!isAbsolute(own)) {
      throw new SettingsError("ERR_CACHE_PATH", `CAMELID_CACHE is "${own}", which is not an absolute path.`, {
        where: "environment variable CAMELID_CACHE",
        fix: `set it to a path that starts at the root, such as ${join(home, ".cache", "camelid")}.`,
      });
    }
    return own;
  }
  // The XDG base directory specification says to ignore relative paths.
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, "camelid");
  if (platform === "darwin") return join(home, "Library", "Caches", "camelid");
  if (platform === "win32" && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, "camelid", "Cache");
  return join(home, ".cache", "camelid");
}
