/** What a pickle can build here: plain data, and the few objects that the host hands in. */
export type PickleKey = null | boolean | number | bigint | string;
export type PickleValue =
  | PickleKey
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleOpaque;

export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

export class PickleList {
  readonly items: PickleValue[] = [];
}

/** Also an OrderedDict: both keep the order of insertion. */
export class PickleDict {
  readonly entries = new Map<PickleKey, PickleValue>();
}

/** A name that the host allows, such as `torch.FloatStorage`. Nothing is looked up or called because of it. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** Base of what the host makes: storages, tensors. */
export abstract class PickleOpaque {
  abstract readonly kind: string;
}

/** For messages: the kind of a value, never the value itself. */
export function describe(value: PickleValue | undefined): string {
  if (value === null || value === undefined) return "None";
  if (value instanceof PickleGlobal) return `the name ${value.name}`;
  if (value instanceof PickleTuple) return "a tuple";
  if (value instanceof PickleList) return "a list";
  if (value instanceof PickleDict) return "a dict";
  if (value instanceof PickleOpaque) return `a ${value.kind}`;
  if (value instanceof Uint8Array) return "bytes";
  return `a ${typeof value}`;
}

/** Ends the reading with a reason; the machine adds where it was. */
export class PickleRefusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly fix?: string,
  ) {
    super(message);
  }
}

export const damaged = (what: string): PickleRefusal =>
  new PickleRefusal(
    "ERR_PICKLE_DAMAGED",
    `the pickle is damaged: ${what}.`,
    "download or save the file again.",
  );

/**
 * Puts key, value, key, value... into a dict.
 * @throws {PickleRefusal} for a key that is no plain value, and for one that comes twice: Python would keep the
 *   later value, but a file that can show different readers different tensors is no accident
 */
export function setEntries(dict: PickleDict, flat: readonly PickleValue[]): void {
  if (flat.length % 2 !== 0) throw damaged("a key of a dict has no value");
  for (let index = 0; index < flat.length; index += 2) {
    const key = flat[index]!;
    if (!isKey(key)) throw damaged(`a key of a dict is ${describe(key)}`);
    if (dict.entries.has(key))
      throw damaged(`the key ${JSON.stringify(String(key).slice(0, 120))} comes twice`);
    dict.entries.set(key, flat[index + 1]!);
  }
}

const isKey = (value: PickleValue): value is PickleKey => value === null || typeof value !== "object";

/** Little-endian two's complement of at most 255 bytes; a bigint only where a number would not be exact. */
export function wholeNumber(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  const signed = BigInt.asIntN(bytes.byteLength * 8, value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
}
