import { existsSync, mkdtempSync, realpathSync, rmdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { SettingsError } from "../errors.js";
import { fileError } from "./file-error.js";

/**
 * Refuses an `--out` that could not be written in the end, before any work goes into it. An older output is replaced; what
 * the command reads is not.
 * @param inputs files that the command reads
 * @throws {SettingsError} `ERR_OUT_NOT_FILE`, `ERR_OUT_FOLDER`, `ERR_OUT_IS_INPUT`
 * @throws {TrainingError} `ERR_NOT_WRITABLE`, `ERR_DISK_FULL`
 */
export function checkOutputFile(path: string, inputs: readonly string[]): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    throw new SettingsError("ERR_OUT_NOT_FILE", "the output path is a folder.", {
      where: path,
      fix: "give --out the name of a file.",
    });
  }
  const taken = found === undefined ? undefined : inputs.find((input) => isSameFile(input, path));
  if (taken !== undefined) {
    throw new SettingsError("ERR_OUT_IS_INPUT", "the output would replace the input file.", {
      where: path,
      fix: "choose another --out.",
    });
  }
  if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) {
    throw new SettingsError("ERR_OUT_FOLDER", "the folder of the output file does not exist.", {
      where: dirname(path),
      fix: "make it, or choose another --out.",
    });
  }
  checkWritable(path);
}

function isSameFile(input: string, path: string): boolean {
  try {
    return realpathSync(input) === realpathSync(path);
  } catch {
    return false; // an input that is not there is told by its reader
  }
}

/**
 * Refuses a path below which nothing can be made, by making and removing a folder in the nearest one that exists:
 * permissions alone do not tell, the file system may be read-only.
 * @throws {TrainingError} `ERR_NOT_WRITABLE`, `ERR_DISK_FULL`
 */
export function checkWritable(path: string): void {
  let folder = dirname(resolve(path));
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    rmdirSync(mkdtempSync(join(folder, ".camelid-")));
  } catch (error) {
    throw fileError(error, path);
  }
}
