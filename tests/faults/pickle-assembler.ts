/** Writes pickles instruction by instruction: the way to say things that no Python would write. */
const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const text = (value: string) => Buffer.from(value, "utf8");

export const op = {
  proto: Buffer.of(0x80, 2),
  stop: Buffer.of(0x2e),
  mark: Buffer.of(0x28),
  none: Buffer.of(0x4e),
  reduce: Buffer.of(0x52),
  build: Buffer.of(0x62),
  persid: Buffer.of(0x51),
  emptyTuple: Buffer.of(0x29),
  tuple: Buffer.of(0x74),
  tuple1: Buffer.of(0x85),
  emptyList: Buffer.of(0x5d),
  append: Buffer.of(0x61),
  emptyDict: Buffer.of(0x7d),
  setItem: Buffer.of(0x73),
  setItems: Buffer.of(0x75),
  stackGlobal: Buffer.of(0x93),
  int: (value: number) => Buffer.concat([Buffer.of(0x4a), Buffer.from(Int32Array.of(value).buffer)]),
  /** An integer of up to 8 bytes. */
  long: (value: bigint) => Buffer.concat([Buffer.of(0x8a, 8), Buffer.from(BigInt64Array.of(value).buffer)]),
  string: (value: string) => Buffer.concat([Buffer.of(0x58), u32(text(value).byteLength), text(value)]),
  global: (module: string, name: string) => text(`c${module}\n${name}\n`),
  put: (slot: number) => Buffer.concat([Buffer.of(0x72), u32(slot)]),
  get: (slot: number) => Buffer.concat([Buffer.of(0x6a), u32(slot)]),
};

export const pickle = (...parts: Buffer[]): Buffer => Buffer.concat([op.proto, ...parts, op.stop]);

export const tuple = (...items: Buffer[]): Buffer => Buffer.concat([op.mark, ...items, op.tuple]);

/** Numbers past 32 bits, as well as small ones. */
export const numbers = (...values: number[]): Buffer =>
  tuple(...values.map((value) => op.long(BigInt(value))));

export const call = (module: string, name: string, ...args: Buffer[]): Buffer =>
  Buffer.concat([op.global(module, name), tuple(...args), op.reduce]);

export const storage = (type: string, key: string, numElements: number): Buffer =>
  Buffer.concat([
    tuple(
      op.string("storage"),
      op.global("torch", type),
      op.string(key),
      op.string("cpu"),
      op.long(BigInt(numElements)),
    ),
    op.persid,
  ]);

/** A tensor as torch.save writes it; sizes and strides as given, sound or not. */
export const tensor = (from: Buffer, offset: number, shape: number[], strides: number[]): Buffer =>
  call(
    "torch._utils",
    "_rebuild_tensor_v2",
    from,
    op.long(BigInt(offset)),
    numbers(...shape),
    numbers(...strides),
    op.none,
    op.none,
  );

export const dict = (entries: Record<string, Buffer>): Buffer =>
  Buffer.concat([
    op.emptyDict,
    op.mark,
    ...Object.entries(entries).flatMap(([key, value]) => [op.string(key), value]),
    op.setItems,
  ]);
