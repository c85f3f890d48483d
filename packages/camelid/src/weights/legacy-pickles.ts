import { ModelError } from "../errors.js";
import type { FileBytes } from "./file-bytes.js";
import { MAX_PICKLE_BYTES, runPickle } from "./pickle-machine.js";
import { PickleDict, PickleList, type PickleValue } from "./pickle-values.js";
import { type StorageLocation, type StorageRecord, TensorPickleHost } from "./tensor-records.js";
import { byteLengthOf } from "./weight-entry.js";

/**
 * The form of `torch.save` before 1.6 (many classifiers of that time): five pickles in a row - a magic number, the
 * version, facts about the machine, the object, the list of storage keys - and then, for each key in that
 * order, the number of elements as int64 and the elements.
 */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL_VERSION = 1001;

/** @throws {ModelError} as for the zip form */
export function readLegacyPickles(file: FileBytes): {
  value: PickleValue;
  locate: (storage: StorageRecord) => StorageLocation;
} {
  // How long the pickles are is known only after running them.
  const head = file.read(0, Math.min(file.size, MAX_PICKLE_BYTES));
  const host = new TensorPickleHost();
  let position = 0;
  const next = () => {
    const { value, end } = runPickle(head, position, host, file.path);
    position = end;
    return value;
  };
  // Looked at before anything runs: the file may be anything at all.
  if (head[0] !== 0x80 || next() !== MAGIC) throw unknown(file, "this is not a file that torch.save wrote.");
  if (next() !== PROTOCOL_VERSION)
    throw unknown(file, "this is a version of torch.save's format that nobody used.");
  const machine = next();
  if (!(machine instanceof PickleDict) || machine.entries.get("little_endian") !== true) {
    throw unknown(file, "its numbers are not little-endian.");
  }
  const value = next();
  const keys = next();
  const locations = locateStorages(file, position, keys, host.storages);
  const locate = (storage: StorageRecord): StorageLocation => {
    const location = locations.get(storage.key);
    if (location === undefined)
      throw damaged(file, `storage ${JSON.stringify(storage.key.slice(0, 40))} is missing`);
    return location;
  };
  return { value, locate };
}

function locateStorages(
  file: FileBytes,
  start: number,
  keys: PickleValue,
  storages: ReadonlyMap<string, StorageRecord>,
): Map<string, StorageLocation> {
  if (!(keys instanceof PickleList)) throw damaged(file, "the list of storages is missing");
  const locations = new Map<string, StorageLocation>();
  let position = start;
  for (const key of keys.items) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined || locations.has(storage.key))
      throw damaged(file, "the list of storages is wrong");
    const prefix = file.read(position, 8);
    const numElements = new DataView(prefix.buffer).getBigInt64(0, true);
    if (numElements !== BigInt(storage.numElements))
      throw damaged(file, "a storage has another size than its tensors say");
    const length = byteLengthOf(storage.dtype, [storage.numElements]) ?? 0; // checked when the record was made
    locations.set(storage.key, { offset: position + 8, length, crc32: 0 });
    position += 8 + length;
  }
  if (position > file.size) throw damaged(file, `it ends ${position - file.size} bytes early`);
  return locations;
}

function unknown(file: FileBytes, message: string): ModelError {
  return new ModelError("ERR_WEIGHTS_FORMAT", message, {
    where: file.path,
    fix: "check that it is a PyTorch file; save the model's state_dict() with torch.save, or as safetensors.",
  });
}

function damaged(file: FileBytes, what: string): ModelError {
  return new ModelError("ERR_WEIGHTS_TRUNCATED", `the file is damaged: ${what}.`, {
    where: file.path,
    fix: "download or save the file again.",
  });
}
