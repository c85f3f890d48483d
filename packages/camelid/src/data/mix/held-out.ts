/** Which records are held out, so that neither a shared prompt nor a near-duplicate crosses the split. */
import { ContentSet } from "../quality/content-set.js";
import { GrowableUint32 } from "../quality/growable.js";
import { mix32 } from "../quality/word-scanner.js";

export class HeldOutRule {
  readonly #below: number;
  readonly #salt: number;

  constructor(fraction: number, seed: number) {
    this.#below = fraction * 2 ** 32;
    this.#salt = mix32(seed | 0);
  }

  /** By the first word of a prompt hash: rows with one prompt go one way, whatever else is in the mixture. */
  decide(promptHash: number): boolean {
    return mix32(promptHash ^ this.#salt) < this.#below;
  }
}

/** For held-back records: groups joined by a shared prompt or by a cluster decide as one, by their least hash. */
export class PromptGroups {
  readonly #prompts = new ContentSet();
  /** Per record its entry in `#prompts`; per entry the first word of its hash. */
  readonly #entries = new GrowableUint32();
  readonly #hashes = new GrowableUint32();

  add(promptHash: Uint32Array): void {
    const entry = this.#prompts.add(promptHash);
    if (entry === this.#hashes.length) this.#hashes.push(promptHash[0]!);
    this.#entries.push(entry);
  }

  /** @param clusterOf per record, in order of `add`, the first record of its cluster */
  heldOut(rule: HeldOutRule, clusterOf: Uint32Array): Uint8Array {
    const parent = Uint32Array.from({ length: this.#prompts.size }, (_, entry) => entry);
    const root = (entry: number): number => {
      let at = entry;
      while (parent[at] !== at) {
        parent[at] = parent[parent[at]!]!;
        at = parent[at]!;
      }
      return at;
    };
    clusterOf.forEach((first, record) => {
      const [a, b] = [root(this.#entries.data[record]!), root(this.#entries.data[first]!)];
      if (a === b) return;
      // The lesser hash becomes the root, so the root decides.
      if (this.#hashes.data[a]! < this.#hashes.data[b]!) parent[b] = a;
      else parent[a] = b;
    });
    return Uint8Array.from(clusterOf, (_, record) =>
      rule.decide(this.#hashes.data[root(this.#entries.data[record]!)]!) ? 1 : 0,
    );
  }
}
