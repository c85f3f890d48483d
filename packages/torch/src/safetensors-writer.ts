import { createHash, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isSystemError, SafetensorsError, safetensorsFileError } from "./errors.js";
import {
  DATA_ALIGNMENT,
  isSupportedDType,
  MAX_HEADER_BYTES,
  SAFETENSORS_DTYPES,
  type SafetensorsDType,
  tensorByteLength,
} from "./safetensors-format.js";

/** A tensor to be written. `bytes` is called once, when its turn comes, so that of one tensor at a time a copy is in memory, or a piece. */
export interface SafetensorsEntry {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
  /** Row-major, little-endian, as a whole or in pieces; each is only used until the next is asked for. */
  bytes(): Uint8Array | Iterable<Uint8Array>;
}

export interface WrittenFile {
  sizeBytes: number;
  /** Lower-case hex, of the whole file: for checkpoint manifests. */
  sha256: string;
}

/**
 * Writes a safetensors file that is there completely or not at all: temporary file, fsync, rename.
 * Order and header are those of the reference library; only its padding is longer, for `DATA_ALIGNMENT`.
 * @throws {SafetensorsError} for entries that make no valid file, and when the disk refuses; nothing stays behind then
 */
export function writeSafetensorsFile(
  path: string,
  entries: Iterable<SafetensorsEntry>,
  metadata: Readonly<Record<string, string>> = {},
): WrittenFile {
  const ordered = writingOrder(entries);
  const header = buildSafetensorsHeader(ordered, metadata, path);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  let fd: number | undefined;
  try {
    fd = openSync(temporary, "wx");
    const hash = createHash("sha256");
    let sizeBytes = append(fd, hash, header);
    for (const entry of ordered) {
      const bytes = entry.bytes();
      let written = 0;
      for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) written += append(fd, hash, piece);
      const expected = tensorByteLength(entry.dtype, entry.shape);
      if (written !== expected) {
        const message = `${entry.dtype} of shape [${entry.shape.join(", ")}] needs ${expected} bytes, not ${written}.`;
        throw new SafetensorsError("ERR_SAFETENSORS_WRITE", message, { where: `tensor "${entry.name}"` });
      }
      sizeBytes += written;
    }
    fsyncSync(fd);
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
    syncDirectory(dirname(path));
    return { sizeBytes, sha256: hash.digest("hex") };
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    rmSync(temporary, { force: true });
    throw isSystemError(cause) ? safetensorsFileError("cannot be written", path, cause) : cause;
  }
}

/**
 * The 8 bytes of length and the JSON after them, padded with spaces up to `DATA_ALIGNMENT`.
 * @param entries in the order in which their bytes will follow
 */
export function buildSafetensorsHeader(
  entries: readonly Pick<SafetensorsEntry, "name" | "dtype" | "shape">[],
  metadata: Readonly<Record<string, string>>,
  file: string,
): Uint8Array {
  const fields: string[] = [];
  const field = (name: string, value: unknown) =>
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const names = new Set(["__metadata__"]);
  let position = 0;
  if (Object.keys(metadata).length > 0) field("__metadata__", metadata);
  for (const { name, dtype, shape } of entries) {
    const where = `${file}, tensor "${name}"`;
    const size = isSupportedDType(dtype) ? tensorByteLength(dtype, shape) : undefined;
    if (names.has(name)) {
      throw new SafetensorsError("ERR_SAFETENSORS_DUPLICATE", "the name is taken already.", { where });
    }
    if (size === undefined || !Number.isSafeInteger(position + size)) {
      throw new SafetensorsError(
        "ERR_SAFETENSORS_SHAPE",
        `${dtype} of shape [${shape.join(", ")}] has no size.`,
        {
          where,
        },
      );
    }
    names.add(name);
    field(name, { dtype, shape, data_offsets: [position, position + size] });
    position += size;
  }
  const json = Buffer.from(`{${fields.join(",")}}`);
  const length = Math.ceil((8 + json.byteLength) / DATA_ALIGNMENT) * DATA_ALIGNMENT - 8;
  if (length > MAX_HEADER_BYTES) {
    const message = `the header would have ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed.`;
    throw new SafetensorsError("ERR_SAFETENSORS_HEADER_LENGTH", message, { where: file });
  }
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length), 0);
  json.copy(header, 8);
  return header;
}

/** As the reference library orders: by dtype from the widest down, then by the UTF-8 bytes of the name. */
function writingOrder(entries: Iterable<SafetensorsEntry>): SafetensorsEntry[] {
  const rank = Object.fromEntries(Object.keys(SAFETENSORS_DTYPES).map((name, index) => [name, index]));
  const keyed = [...entries].map((entry) => ({ entry, key: Buffer.from(entry.name) }));
  keyed.sort(
    (a, b) => (rank[b.entry.dtype] ?? 0) - (rank[a.entry.dtype] ?? 0) || Buffer.compare(a.key, b.key),
  );
  return keyed.map(({ entry }) => entry);
}

/** One call writes at most 2 GiB on Linux; smaller pieces also let hashing and writing share the cache. */
const WRITE_CHUNK_BYTES = 8 * 1024 * 1024;

function append(fd: number, hash: ReturnType<typeof createHash>, bytes: Uint8Array): number {
  for (let done = 0; done < bytes.byteLength; ) {
    const chunk = bytes.subarray(done, done + WRITE_CHUNK_BYTES);
    const count = writeSync(fd, chunk);
    hash.update(chunk.subarray(0, count));
    done += count;
  }
  return bytes.byteLength;
}

/** The rename itself survives a power cut only once the directory is on disk; Windows has no such call. */
function syncDirectory(path: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
