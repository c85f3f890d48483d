import type { DType } from "@camelid/torch";
import type { PickleHost } from "./pickle-machine.js";
import {
  describe,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleOpaque,
  PickleRefusal,
  PickleTuple,
  type PickleValue,
  setEntries,
} from "./pickle-values.js";
import { byteLengthOf } from "./weight-entry.js";

/** A block of elements outside of the pickle; several tensors may look into one. */
export class StorageRecord extends PickleOpaque {
  readonly kind = "storage";
  constructor(
    readonly key: string,
    readonly dtype: DType,
    readonly numElements: number,
  ) {
    super();
  }
}

/** A storage's bytes in its file; a CRC of 0 was not computed. */
export interface StorageLocation {
  offset: number;
  length: number;
  crc32: number;
}

/** What a pickle says about one tensor. Strides and offset count elements. */
export class TensorRecord extends PickleOpaque {
  readonly kind = "tensor";
  constructor(
    readonly storage: StorageRecord,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

/** Storage classes of torch, and what their elements are. */
const STORAGE_DTYPES: ReadonlyMap<string, DType> = new Map([
  ["torch.DoubleStorage", "float64"],
  ["torch.FloatStorage", "float32"],
  ["torch.HalfStorage", "float16"],
  ["torch.BFloat16Storage", "bfloat16"],
  ["torch.LongStorage", "int64"],
  ["torch.IntStorage", "int32"],
  ["torch.ShortStorage", "int16"],
  ["torch.CharStorage", "int8"],
  ["torch.ByteStorage", "uint8"],
  ["torch.BoolStorage", "bool"],
]);

/** Names that stand beside tensors as plain values: dtypes. */
const DTYPE_NAMES = new Set(
  ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"].map(
    (n) => `torch.${n}`,
  ),
);

type Rebuild = (args: readonly PickleValue[]) => PickleValue;

/** Every function that a pickle may call, and what happens instead of the call. */
const CALLS: ReadonlyMap<string, Rebuild> = new Map<string, Rebuild>([
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  // (tensor, requires_grad, hooks)
  ["torch._utils._rebuild_parameter", ([tensor]) => tensor ?? null],
  ["collections.OrderedDict", orderedDict],
  ["torch.Size", ([sizes]) => sizes ?? null],
  // The type of device, as a word: tensors land where the reader wants them.
  ["torch.device", ([device]) => device ?? null],
]);

/** Gathers storages while the pickle machine runs. */
export class TensorPickleHost implements PickleHost {
  readonly storages = new Map<string, StorageRecord>();

  allows(name: string): boolean {
    return CALLS.has(name) || STORAGE_DTYPES.has(name) || DTYPE_NAMES.has(name);
  }

  call(name: string, args: readonly PickleValue[]): PickleValue {
    const rebuild = CALLS.get(name);
    if (rebuild === undefined) throw refusal(`it calls ${name}`);
    return rebuild(args);
  }

  /** ("storage", class, key, device, number of elements[, view]) */
  persistent(id: PickleValue): StorageRecord {
    const [tag, type, key, , numElements, view] = id instanceof PickleTuple ? id.items : [];
    const dtype = type instanceof PickleGlobal ? STORAGE_DTYPES.get(type.name) : undefined;
    if (tag !== "storage" || dtype === undefined || typeof key !== "string") {
      throw refusal("it refers to something outside that is no storage");
    }
    if (view !== undefined && view !== null)
      throw refusal("a storage is a view of another (PyTorch 0.3 and older)");
    if (!isCount(numElements) || byteLengthOf(dtype, [numElements]) === undefined) {
      throw refusal(`storage ${JSON.stringify(key.slice(0, 40))} has an impossible size`);
    }
    const known = this.storages.get(key);
    if (known === undefined) {
      const storage = new StorageRecord(key, dtype, numElements);
      this.storages.set(key, storage);
      return storage;
    }
    if (known.dtype !== dtype || known.numElements !== numElements) {
      throw refusal(`storage ${JSON.stringify(key.slice(0, 40))} is described in two ways`);
    }
    return known;
  }
}

/** (storage, offset, size, stride[, requires_grad, hooks]) */
function rebuildTensor([storage, offset, size, stride]: readonly PickleValue[]): TensorRecord {
  if (!(storage instanceof StorageRecord)) throw refusal(`a tensor is made of ${describe(storage)}`);
  const shape = counts(size);
  const strides = counts(stride);
  if (!isCount(offset) || shape === undefined || strides === undefined || shape.length !== strides.length) {
    throw refusal("the size, stride or offset of a tensor is not one");
  }
  if (byteLengthOf(storage.dtype, shape) === undefined) {
    throw refusal(`the shape [${shape.slice(0, 8).join(", ")}] is impossibly large`);
  }
  if (!shape.includes(0)) {
    const last = shape.reduce((sum, length, dimension) => sum + (length - 1) * strides[dimension]!, offset);
    if (last >= storage.numElements) {
      throw refusal(`a tensor reaches element ${last} of a storage that has ${storage.numElements}`);
    }
  }
  return new TensorRecord(storage, offset, shape, strides);
}

/** OrderedDict() and, from Python 2, OrderedDict([[key, value], ...]). */
function orderedDict(args: readonly PickleValue[]): PickleDict {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!(pairs instanceof PickleList) || args.length > 1)
    throw refusal(`an OrderedDict is made of ${describe(pairs)}`);
  for (const pair of pairs.items) {
    const items = pair instanceof PickleTuple || pair instanceof PickleList ? pair.items : [];
    if (items.length !== 2) throw refusal("an OrderedDict is not made of pairs");
    setEntries(dict, items);
  }
  return dict;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function counts(value: PickleValue | undefined): number[] | undefined {
  if (!(value instanceof PickleTuple) || !value.items.every(isCount)) return undefined;
  return [...(value.items as readonly number[])];
}

function refusal(what: string): PickleRefusal {
  return new PickleRefusal(
    "ERR_PICKLE_DAMAGED",
    `the pickle does not describe tensors as torch.save does: ${what}.`,
  );
}
