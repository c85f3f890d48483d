import { crc32 } from "node:zlib";
import { ModelError } from "../errors.js";
import type { FileBytes } from "./file-bytes.js";
import { MAX_PICKLE_BYTES, runPickle } from "./pickle-machine.js";
import type { PickleValue } from "./pickle-values.js";
import { type StorageLocation, type StorageRecord, TensorPickleHost } from "./tensor-records.js";
import { byteLengthOf } from "./weight-entry.js";
import { readZipDirectory, type ZipEntry } from "./zip-reader.js";

/**
 * The form of `torch.save` since 1.6: a zip archive with one folder, in it `data.pkl`, `byteorder`, and
 * the elements of each storage in `data/<key>`.
 * @throws {ModelError} for anything else, hostile pickles first of all
 */
export function readZipPickle(file: FileBytes): {
  value: PickleValue;
  locate: (storage: StorageRecord) => StorageLocation;
} {
  const directory = readZipDirectory(file);
  const pickleName = [...directory.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  const pickle = pickleName === undefined ? undefined : directory.get(pickleName);
  if (pickleName === undefined || pickle === undefined) throw notTorch(file, "the archive has no data.pkl");
  const root = pickleName.slice(0, -"data.pkl".length);
  if (directory.has(`${root}constants.pkl`)) throw notTorch(file, "this is a TorchScript program");
  if (pickle.size > MAX_PICKLE_BYTES) {
    const message = `data.pkl has ${pickle.size} bytes; at most ${MAX_PICKLE_BYTES} are allowed.`;
    throw new ModelError("ERR_PICKLE_LIMIT", message, { where: file.path });
  }
  const order = directory.get(`${root}byteorder`);
  if (order !== undefined && !isLittle(file, order))
    throw notTorch(file, "its numbers are not little-endian");

  const bytes = file.read(pickle.offset, pickle.size);
  checkCrc(bytes, pickle.crc32, `${file.path}, entry ${pickleName}`);
  const host = new TensorPickleHost();
  const { value } = runPickle(bytes, 0, host, file.path);
  const locate = (storage: StorageRecord): StorageLocation => {
    const stored = directory.get(`${root}data/${storage.key}`);
    const length = byteLengthOf(storage.dtype, [storage.numElements]);
    if (stored === undefined || stored.size !== length) {
      const found = stored === undefined ? "is missing" : `has ${stored.size} bytes instead of ${length}`;
      throw new ModelError(
        "ERR_WEIGHTS_TRUNCATED",
        `storage ${JSON.stringify(storage.key.slice(0, 40))} ${found}.`,
        {
          where: file.path,
          fix: "download or save the file again.",
        },
      );
    }
    return { offset: stored.offset, length, crc32: stored.crc32 };
  };
  return { value, locate };
}

function isLittle(file: FileBytes, { offset, size }: ZipEntry): boolean {
  return size === 6 && new TextDecoder().decode(file.read(offset, 6)) === "little";
}

/** @throws {ModelError} when the bytes are not those that were written; a CRC of 0 was not computed */
export function checkCrc(bytes: Uint8Array, expected: number, where: string): void {
  if (expected === 0 || crc32(bytes) === expected) return;
  throw new ModelError("ERR_WEIGHTS_CHECKSUM", "the bytes do not match their checksum.", {
    where,
    fix: "download or save the file again.",
  });
}

function notTorch(file: FileBytes, what: string): ModelError {
  return new ModelError("ERR_WEIGHTS_FORMAT", `${what}; a state dict written by torch.save is needed.`, {
    where: file.path,
    fix: "save the model's state_dict() with torch.save, or as safetensors.",
  });
}
