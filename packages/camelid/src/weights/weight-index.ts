import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readSafetensorsHeader, SAFETENSORS_DTYPES, SafetensorsError } from "@camelid/torch";
import { z } from "zod";
import { ModelError } from "../errors.js";
import { modelFolder } from "../run/hub-names.js";
import { FileBytes, readFileSlice } from "./file-bytes.js";
import { readTorchFile } from "./tensor-unpickler.js";
import { byteLengthOf, type WeightEntry } from "./weight-entry.js";

/** All tensors of a model folder, none of them read yet. */
export interface ModelWeights {
  folder: string;
  format: "safetensors" | "pytorch";
  /** Paths, in the order of their names. */
  files: string[];
  entries: Map<string, WeightEntry>;
  /** Of all tensors, before any conversion. */
  totalBytes: number;
}

/** In the order in which they are looked for, which is also that of transformers. */
const CANDIDATES = [
  { file: "model.safetensors", format: "safetensors", sharded: false },
  { file: "model.safetensors.index.json", format: "safetensors", sharded: true },
  { file: "pytorch_model.bin", format: "pytorch", sharded: false },
  { file: "pytorch_model.bin.index.json", format: "pytorch", sharded: true },
] as const;

/** A 400B model's index is 200 kB. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

const IndexFile = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Finds and checks the weights of a model folder, or of a fetched model by its name: one file, or shards named by an index.
 * @throws {ModelError} when there are none, a shard is missing, or the files and their index disagree
 */
export function openWeights(name: string): ModelWeights {
  const folder = modelFolder(name);
  const found = CANDIDATES.find(({ file }) => existsSync(join(folder, file)));
  if (found === undefined) throw noWeights(folder);
  const first = join(folder, found.file);
  const weightMap = found.sharded ? readIndex(first, found.format) : undefined;
  const files = weightMap === undefined ? [first] : shardPaths(folder, first, weightMap);
  const entries = new Map<string, WeightEntry>();
  let totalBytes = 0;
  for (const file of files) {
    refuseLfsPointer(file);
    for (const entry of found.format === "safetensors" ? readSafetensorsFile(file) : readTorchFile(file)) {
      const other = entries.get(entry.name);
      if (other !== undefined) {
        throw new ModelError("ERR_WEIGHTS_DUPLICATE", `the tensor "${entry.name}" is in two files.`, {
          where: `${other.file} and ${file}`,
          fix: "download the model again, or remove files of another version.",
        });
      }
      entries.set(entry.name, entry);
      totalBytes += byteLengthOf(entry.dtype, entry.shape) ?? 0;
    }
  }
  if (weightMap !== undefined) checkAgainstIndex(folder, first, weightMap, entries);
  return { folder, format: found.format, files, entries, totalBytes };
}

/** @returns tensor name -> file name */
function readIndex(path: string, format: ModelWeights["format"]): Map<string, string> {
  const fix = "download the model again.";
  const { size } = statSync(path);
  if (size > MAX_INDEX_BYTES) {
    throw new ModelError(
      "ERR_WEIGHTS_INDEX",
      `the index has ${size} bytes; at most ${MAX_INDEX_BYTES} are allowed.`,
      {
        where: path,
      },
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ModelError("ERR_WEIGHTS_INDEX", "the index is not valid JSON.", { where: path, fix, cause });
  }
  const parsed = IndexFile.safeParse(json);
  if (!parsed.success) {
    const message = "the index has no weight_map from tensor names to file names.";
    throw new ModelError("ERR_WEIGHTS_INDEX", message, { where: path, fix, cause: parsed.error });
  }
  const weightMap = new Map(Object.entries(parsed.data.weight_map));
  const extension = format === "safetensors" ? ".safetensors" : ".bin";
  for (const [name, file] of weightMap) {
    // A file name, never a path: an index from elsewhere must not reach out of its folder.
    if (/^[^/\\:\0]+$/.test(file) && file.endsWith(extension) && !file.startsWith(".")) continue;
    throw new ModelError(
      "ERR_WEIGHTS_INDEX",
      `${show(file)} is not the name of a ${extension} file in this folder.`,
      {
        where: `${path}, weight_map entry ${show(name)}`,
        fix: "do not use this model unless you trust its source; then correct the index.",
      },
    );
  }
  return weightMap;
}

function shardPaths(folder: string, indexPath: string, weightMap: ReadonlyMap<string, string>): string[] {
  const names = [...new Set(weightMap.values())].sort();
  const missing = names.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) {
    const message = `${missing.length} of ${names.length} weight files are missing: ${listed(missing)}.`;
    throw new ModelError("ERR_WEIGHTS_MISSING_SHARD", message, {
      where: indexPath,
      fix: "download the model again; finished files are kept.",
    });
  }
  return names.map((name) => join(folder, name));
}

/** Each tensor has to be in the file that the index says; more tensors than the index names are no fault. */
function checkAgainstIndex(
  folder: string,
  indexPath: string,
  weightMap: ReadonlyMap<string, string>,
  entries: ReadonlyMap<string, WeightEntry>,
): void {
  const wrong = [...weightMap].filter(([name, file]) => entries.get(name)?.file !== join(folder, file));
  const [first] = wrong;
  if (first === undefined) return;
  const message = `${wrong.length} tensors are not in the file that the index names, such as ${show(first[0])} in ${first[1]}.`;
  throw new ModelError("ERR_WEIGHTS_INDEX", message, { where: indexPath, fix: "download the model again." });
}

function readSafetensorsFile(path: string): WeightEntry[] {
  try {
    const { tensors, dataOffset } = readSafetensorsHeader(path);
    return [...tensors].map(([name, { dtype, shape, begin, end }]) => {
      const slice = { offset: dataOffset + begin, length: end - begin };
      const read = () => readFileSlice(path, slice.offset, slice.length);
      return { name, dtype: SAFETENSORS_DTYPES[dtype].dtype, shape, file: path, slice, read };
    });
  } catch (cause) {
    if (!(cause instanceof SafetensorsError)) throw cause;
    const { code, message, where = path, fix } = cause;
    throw new ModelError(code, message, { where, cause, ...(fix === undefined ? {} : { fix }) });
  }
}

/** A clone without git-lfs leaves 130 bytes of text in place of each large file. */
function refuseLfsPointer(path: string): void {
  const marker = "version https://git-lfs.github.com/spec/";
  using file = new FileBytes(path);
  if (file.size < marker.length || Buffer.from(file.read(0, marker.length)).toString("latin1") !== marker)
    return;
  throw new ModelError("ERR_WEIGHTS_LFS_POINTER", "this is a Git LFS pointer, not the file itself.", {
    where: path,
    fix: "run `git lfs pull` in the folder, or name the model by its hub id.",
  });
}

function noWeights(folder: string): ModelError {
  const fix = `a model folder holds one of ${CANDIDATES.map(({ file }) => file).join(", ")}.`;
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch (cause) {
    return new ModelError("ERR_WEIGHTS_FILE", "there is no such folder.", { where: folder, fix, cause });
  }
  const there = names.length === 0 ? "the folder is empty" : `it holds ${listed(names)}`;
  return new ModelError("ERR_WEIGHTS_NONE", `the folder holds no weights; ${there}.`, { where: folder, fix });
}

const listed = (names: readonly string[]) =>
  names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
const show = (text: string) => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
