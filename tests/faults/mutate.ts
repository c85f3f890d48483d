/** A small generator with a seed (mulberry32, public domain): the same mutations on every machine. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Values that break arithmetic: limits of 8, 16, 32 and 64 bits, signed and not, and neighbours. */
const EXTREMES = [
  "00",
  "01",
  "7f",
  "80",
  "ff",
  "ffff",
  "0080",
  "ffffff7f",
  "00000080",
  "ffffffff",
  "fffffffffffffff7",
  "ffffffffffffff7f",
  "0000000000000080",
  "ffffffffffffffff",
  "0000000000002000",
].map((hex) => Buffer.from(hex, "hex")); // prettier-ignore

/** A copy with one to six changes: flipped bits, extreme numbers, digits, cuts, insertions, repeated stretches. */
export function mutate(original: Buffer, random: (below: number) => number): Buffer {
  let bytes = Buffer.from(original);
  // Half of the copies keep their length: a shifted offset hides the changes that come after it.
  const kinds = random(2) === 0 ? 5 : 8;
  for (let count = 1 + random(6); count > 0 && bytes.byteLength > 0; count--) {
    const at = random(bytes.byteLength);
    const length = 1 + random(16);
    switch (random(kinds)) {
      case 0:
        bytes[at]! ^= 1 << random(8);
        break;
      case 1:
        bytes[at] = random(256);
        break;
      case 2:
      case 3:
        EXTREMES[random(EXTREMES.length)]!.copy(bytes, at);
        break;
      case 4: // numbers in JSON
        bytes[at] = 0x30 + random(10);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 6:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
        break;
      case 7: // cuts are rare: they hide every other change behind one error
        if (random(8) === 0) bytes = bytes.subarray(0, at);
        break;
    }
  }
  return Buffer.from(bytes);
}
