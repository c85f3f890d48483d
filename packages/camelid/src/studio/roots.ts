/** The folders that the Studio may show. Every path that is opened for the browser passes through here. */
import { realpathSync, statSync } from "node:fs";
import { basename, join, relative, resolve, sep } from "node:path";
import { SettingsError } from "../errors.js";

export interface Root {
  /** First part of every id below it. */
  readonly label: string;
  /** Real path: symbolic links resolved. */
  readonly path: string;
}

export class Roots {
  readonly roots: readonly Root[];

  /** @throws {SettingsError} `ERR_STUDIO_ROOT` when a folder is not there */
  constructor(folders: readonly string[]) {
    const labels = new Set<string>();
    this.roots = folders.map((folder) => {
      if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
        throw new SettingsError("ERR_STUDIO_ROOT", "there is no such folder.", {
          where: resolve(folder),
          fix: "name folders that hold runs, mixes or evaluations: `camelid studio out data`.",
        });
      }
      const path = realpathSync(folder);
      let label = basename(path) || "root";
      for (let n = 2; labels.has(label); n++) label = `${basename(path)}-${n}`;
      labels.add(label);
      return { label, path };
    });
  }

  /** The real path, when it lies below a root; symbolic links that lead out give undefined. */
  inside(path: string): string | undefined {
    try {
      const real = realpathSync(path);
      return this.#rootOf(real) === undefined ? undefined : real;
    } catch {
      return undefined; // not there, or not ours to read
    }
  }

  /** `out/first-sft` for a path below the root labelled `out`. */
  idOf(path: string): string {
    const root = this.#rootOf(path);
    if (root === undefined) throw new Error(`${path} is below no root`);
    return [root.label, ...relative(root.path, path).split(sep)].filter((part) => part !== "").join("/");
  }

  /** The path an id stands for; undefined when it leaves the roots or is not there. */
  pathOf(id: string): string | undefined {
    const [label, ...rest] = id.split("/");
    const root = this.roots.find((one) => one.label === label);
    if (root === undefined || rest.some((part) => part === ".." || part === "." || part.includes("\0")))
      return undefined;
    return this.inside(join(root.path, ...rest));
  }

  #rootOf(real: string): Root | undefined {
    return this.roots.find(
      ({ path }) => real === path || real.startsWith(path.endsWith(sep) ? path : path + sep),
    );
  }
}
