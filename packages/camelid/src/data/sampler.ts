/**
 * Which rows each optimizer step trains on: a pure function of the seed and the step. Packing, micro-batches, world size
 * and resuming cannot change it, because none of them is an argument.
 */

/**
 * Rows are drawn without end: epoch after epoch, each in an order of its own, cut into steps without regard to the borders
 * of epochs. Every row comes once an epoch.
 * @param step counted from 1
 * @returns `rowsPerStep` row numbers
 */
export function rowsOfStep(
  step: number,
  order: { seed: number; numRows: number; rowsPerStep: number },
): number[] {
  const { seed, numRows, rowsPerStep } = order;
  const first = (step - 1) * rowsPerStep;
  return Array.from({ length: rowsPerStep }, (_, i) => {
    const place = first + i;
    return epochOrder(seed, Math.floor(place / numRows), numRows)[place % numRows]!;
  });
}

/** The last two orders asked for: a step needs one, or two at the border of epochs. */
const orders = new Map<string, Uint32Array>();

function epochOrder(seed: number, epoch: number, numRows: number): Uint32Array {
  const key = `${seed} ${epoch} ${numRows}`;
  const known = orders.get(key);
  if (known !== undefined) return known;
  const order = shuffled(numRows, randomUint32(seed, epoch));
  if (orders.size === 2) orders.delete(orders.keys().next().value!);
  orders.set(key, order);
  return order;
}

/** Fisher-Yates; the draw from 0 ... i is unbiased by rejection. */
function shuffled(length: number, next: () => number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const limit = 2 ** 32 - (2 ** 32 % (i + 1));
    let draw = next();
    while (draw >= limit) draw = next();
    const j = draw % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** sfc32 (Doty-Humphrey 2010), seeded by seed and epoch and warmed up so that near seeds part. */
function randomUint32(seed: number, epoch: number): () => number {
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = epoch >>> 0;
  let counter = 1;
  const next = (): number => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}
