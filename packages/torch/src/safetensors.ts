/** Safetensors files as tensors: mapped where the bytes are aligned, copied where they are not. */
import { type DType, dtypeCode, elementSize } from "./dtype.js";
import { SafetensorsError } from "./errors.js";
import { native } from "./native.js";
import { SAFETENSORS_DTYPES, type SafetensorsDType } from "./safetensors-format.js";
import { readSafetensorsHeader } from "./safetensors-reader.js";
import { type SafetensorsEntry, writeSafetensorsFile } from "./safetensors-writer.js";
import { Tensor, tensorScope } from "./tensor.js";
import { wrap } from "./wrap.js";

/** Kernels may give other low bits on memory that is less aligned than libtorch's own. */
const ALIGNMENT = 64;

export interface SafetensorsFile {
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
}

/**
 * Reads a file. Tensors whose bytes start at a multiple of 64 share one private mapping of the file, which costs no memory
 * until a page is touched; the others are copied into aligned memory. `names` picks some.
 * @throws {SafetensorsError} when the file is not sound, or lacks one of `names`
 */
export function readSafetensors(
  path: string,
  options: { names?: readonly string[]; copy?: boolean } = {},
): SafetensorsFile {
  const header = readSafetensorsHeader(path);
  const wanted = options.names === undefined ? undefined : new Set(options.names);
  for (const name of wanted ?? []) {
    if (!header.tensors.has(name))
      throw new SafetensorsError("ERR_SAFETENSORS_NAME", `there is no tensor "${name}".`, { where: path });
  }
  const entries = [...header.tensors].filter(([name]) => wanted === undefined || wanted.has(name));
  const handles = native.mapTensors(
    path,
    entries.map(([, info]) => {
      const dtype = SAFETENSORS_DTYPES[info.dtype].dtype;
      return [header.dataOffset + info.begin, info.end - info.begin, info.shape, dtypeCode(dtype)];
    }),
  );
  const tensors = new Map<string, Tensor>();
  entries.forEach(([name, info], i) => {
    const mapped = wrap(handles[i]!).named(name);
    const aligned = (header.dataOffset + info.begin) % ALIGNMENT === 0;
    if (aligned && options.copy !== true) {
      tensors.set(name, mapped);
      return;
    }
    tensors.set(name, mapped.clone().named(name));
    mapped.dispose();
  });
  return { tensors, metadata: header.metadata };
}

/** Writes tensors to a file, whole or not at all: a temporary file, synced, then renamed. */
export function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Record<string, string> = {},
): void {
  const entries = [...tensors].map(([name, tensor]) => safetensorsEntry(name, tensor));
  writeSafetensorsFile(path, entries, metadata);
}

/**
 * A tensor for `writeSafetensorsFile`, which is copied a few megabytes at a time; or something that gets its bytes when they are
 * asked for.
 */
export function safetensorsEntry(
  name: string,
  tensor: Pick<Tensor, "dtype" | "shape" | "toBytes">,
): SafetensorsEntry {
  return {
    name,
    dtype: formatDType(tensor.dtype),
    shape: [...tensor.shape],
    bytes: () => (tensor instanceof Tensor ? piecesOf(tensor) : tensor.toBytes()),
  };
}

const PIECE_BYTES = 8 * 1024 * 1024;

/** A tensor's bytes one after the other through one buffer. */
function* piecesOf(tensor: Tensor): Generator<Uint8Array> {
  const size = PIECE_BYTES / elementSize(tensor.dtype);
  if (tensor.numel <= size || !tensor.isContiguous) return yield tensor.toBytes();
  const buffer = new ArrayBuffer(PIECE_BYTES);
  for (let from = 0; from < tensor.numel; from += size) {
    const count = Math.min(size, tensor.numel - from);
    yield tensorScope(() => tensor.detach().view([-1]).narrow(0, from, count).toBytes(buffer));
  }
}

function formatDType(dtype: DType): SafetensorsDType {
  const entry = Object.entries(SAFETENSORS_DTYPES).find(
    ([, info]) => info.dtype === dtype && info.itemSize === elementSize(dtype),
  );
  return entry![0] as SafetensorsDType;
}
