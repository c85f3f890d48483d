/** Whether elements in `strides` order are row-major without gaps; a dimension of length 1 may have any stride. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  return shape.includes(0) || contiguousSuffix(shape, strides) === 0;
}

/**
 * Copies a strided tensor into row-major order.
 * @param source   bytes of the storage from the tensor's first element on
 * @param itemSize bytes per element: 1, 2, 4 or 8
 * @param shape    without a zero; its last element's place lies inside `source` (the caller has checked)
 * @param strides  in elements, not negative; 0 repeats
 */
export function stridedCopy(
  source: Uint8Array<ArrayBuffer>,
  itemSize: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  // The last dimensions that are contiguous move as one run; the dimensions before them are walked like a counter.
  const split = contiguousSuffix(shape, strides);
  const run = itemSize * shape.slice(split).reduce((product, length) => product * length, 1);
  const outer = shape.slice(0, split);
  const steps = strides.slice(0, split).map((stride) => stride * itemSize);
  const numRuns = outer.reduce((product, length) => product * length, 1);
  const copy = new Uint8Array(numRuns * run);
  const move = runMover(source, copy, run);
  const index = outer.map(() => 0);
  let from = 0;
  for (let to = 0; to < copy.byteLength; to += run) {
    move(from, to);
    for (let dimension = split - 1; dimension >= 0; dimension--) {
      from += steps[dimension]!;
      if (++index[dimension]! < outer[dimension]!) break;
      from -= steps[dimension]! * outer[dimension]!;
      index[dimension] = 0;
    }
  }
  return copy;
}

/** First dimension of the longest contiguous tail. */
function contiguousSuffix(shape: readonly number[], strides: readonly number[]): number {
  let expected = 1;
  let dimension = shape.length;
  while (dimension > 0) {
    const length = shape[dimension - 1]!;
    if (length !== 1 && strides[dimension - 1] !== expected) break;
    expected *= length;
    dimension--;
  }
  return dimension;
}

/** Runs of one element (any transposed matrix) are moved as integers; a call of `set` for each would take 10 times longer. */
function runMover(
  source: Uint8Array<ArrayBuffer>,
  copy: Uint8Array<ArrayBuffer>,
  run: number,
): (from: number, to: number) => void {
  const Words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[run];
  if (Words === undefined || source.byteOffset % run !== 0 || source.byteLength % run !== 0) {
    return (from, to) => copy.set(source.subarray(from, from + run), to);
  }
  const input = new Words(source.buffer, source.byteOffset, source.byteLength / run);
  const output = new Words(copy.buffer, 0, copy.byteLength / run);
  return (from, to) => {
    output[to / run] = input[from / run]!;
  };
}
