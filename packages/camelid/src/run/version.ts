import { readFileSync } from "node:fs";

/** Version of this package. Its manifest stands two folders above, in the sources and in the build. */
export function camelidVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
