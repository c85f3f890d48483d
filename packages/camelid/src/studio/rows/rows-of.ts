import { statSync } from "node:fs";
import type { StudioContext } from "../context.js";
import { NotFound } from "../failures.js";

/**
 * The file of rows behind an id, which names a mixture's folder or a file. Only files of rows are given out, whatever else lies
 * in the folders.
 * @throws {NotFound}
 */
export function rowsOf(studio: StudioContext, id: string): { file: string; lineage: string | undefined } {
  const path = studio.roots.pathOf(id);
  if (path === undefined) {
    throw new NotFound(`there is no "${id}" in the folders that the Studio was opened on.`);
  }
  const isMix = statSync(path).isDirectory();
  const file = isMix ? studio.fileIn(path, "train.jsonl") : path;
  if (file === undefined || !/\.jsonl(\.gz)?$/.test(file))
    throw new NotFound(`"${id}" is not a file of rows.`);
  return { file, lineage: isMix ? studio.fileIn(path, "lineage.parquet") : undefined };
}
