import { ModelError } from "../errors.js";
import { FileBytes, readFileSlice } from "./file-bytes.js";
import { readLegacyPickles } from "./legacy-pickles.js";
import { PickleDict, type PickleValue } from "./pickle-values.js";
import { isContiguous, stridedCopy } from "./strided-copy.js";
import { type StorageLocation, TensorRecord } from "./tensor-records.js";
import { byteLengthOf, ITEM_SIZE, type WeightEntry } from "./weight-entry.js";
import { checkCrc, readZipPickle } from "./zip-pickle.js";
import { isZip } from "./zip-reader.js";

/**
 * Reads what `torch.save` made of a state dict, without Python and without executing anything: the pickle in
 * the file is a program, and only the few instructions and names that rebuilding tensors takes are understood.
 * Everything else ends the reading with the name of what was asked for.
 */

/**
 * Named tensors of a `pytorch_model.bin`, in the order of the dictionary. A dictionary inside, under
 * "state_dict" or "model_state_dict", is looked into; values that are no tensors are left out.
 * @throws {ModelError} for everything that is not a dictionary of dense tensors, hostile files first of all
 */
export function readTorchFile(path: string): WeightEntry[] {
  using file = new FileBytes(path);
  const { value, locate } = isZip(file) ? readZipPickle(file) : readLegacyPickles(file);
  const entries: WeightEntry[] = [];
  for (const [name, tensor] of namedTensors(value, path))
    entries.push(entry(file, name, tensor, locate(tensor.storage)));
  return entries;
}

/** The tensors by name. Only two levels are looked at, so that nothing can make this long or deep. */
function* namedTensors(value: PickleValue, path: string): Generator<[string, TensorRecord]> {
  let dict = value;
  if (value instanceof PickleDict) {
    dict =
      WRAPPERS.map((key) => value.entries.get(key)).find((inner) => inner instanceof PickleDict) ?? value;
  }
  let count = 0;
  for (const [name, tensor] of dict instanceof PickleDict ? dict.entries : []) {
    if (typeof name !== "string" || !(tensor instanceof TensorRecord)) continue;
    yield [name, tensor];
    count++;
  }
  if (count === 0) {
    throw new ModelError("ERR_WEIGHTS_EMPTY", "the file holds no dictionary of named tensors.", {
      where: path,
      fix: "save the model's state_dict() with torch.save, or as safetensors.",
    });
  }
}

/** Keys under which training scripts put the state dict among other things. */
const WRAPPERS = ["state_dict", "model_state_dict"];

function entry(file: FileBytes, name: string, tensor: TensorRecord, location: StorageLocation): WeightEntry {
  const { dtype } = tensor.storage;
  const { shape, strides } = tensor;
  const { path } = file;
  const itemSize = ITEM_SIZE[dtype];
  const length = byteLengthOf(dtype, shape) ?? 0; // checked when the record was made
  const offset = location.offset + tensor.offset * itemSize;
  if (isContiguous(shape, strides)) {
    const whole = length === location.length;
    const read = () => {
      const bytes = readFileSlice(path, length === 0 ? 0 : offset, length);
      // Part of a storage has no checksum of its own, and reading all of it for a part could take long.
      if (whole) checkCrc(bytes, location.crc32, `${path}, tensor "${name}"`);
      return bytes;
    };
    return { name, dtype, shape, file: path, slice: { offset: length === 0 ? 0 : offset, length }, read };
  }
  // A stride of 0 repeats elements, so a few bytes could ask for terabytes.
  if (length > file.size) {
    throw new ModelError(
      "ERR_WEIGHTS_EXPANDED",
      `the tensor expands to ${length} bytes, more than the file has.`,
      {
        where: `${path}, tensor "${name}"`,
        fix: "save it again after .contiguous(), if it is meant to be that large.",
      },
    );
  }
  const span = shape.reduce((sum, size, dimension) => sum + (size - 1) * strides[dimension]!, 1) * itemSize;
  const read = () => stridedCopy(readFileSlice(path, offset, span), itemSize, shape, strides);
  return { name, dtype, shape, file: path, slice: undefined, read };
}
