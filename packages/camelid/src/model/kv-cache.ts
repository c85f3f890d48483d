/**
 * Keys and values of the tokens seen so far, per layer and sequence. A cache is made for a batch of sequences, each of its
 * own length; sequences that have ended can be dropped without touching the others.
 */
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { ModelConfig } from "./model-config.js";

export interface KeyValueCache extends Disposable {
  /** Tokens held of each sequence, in the order of the next call's rows. */
  readonly lengths: readonly number[];
  /**
   * Adds a layer's new keys and values of one sequence.
   * @param keys [newTokens, kvHeads, headDim]
   * @returns all keys and values of the sequence so far, the new ones last
   */
  append(layer: number, sequence: number, keys: Tensor, values: Tensor): { keys: Tensor; values: Tensor };
  /** To be called once after all layers have appended `counts[i]` tokens to sequence i. */
  advance(counts: readonly number[]): void;
  /** Keeps the sequences at these places, in this order, and frees the rest. */
  retain(sequences: readonly number[]): void;
  /** Bytes held. */
  readonly sizeBytes: number;
}

interface Sequence {
  length: number;
  /** One pair a layer, each [capacity, kvHeads, headDim]. */
  layers: { keys: Tensor; values: Tensor }[];
}

/** @param capacities most tokens that each sequence may reach */
export function createKvCache(
  config: ModelConfig,
  capacities: readonly number[],
  { device, dtype }: { device: Device; dtype: DType },
): KeyValueCache {
  const reserve = (capacity: number): Tensor =>
    torch.empty([capacity, config.numKeyValueHeads, config.headDim], { device, dtype });
  let sequences: Sequence[] = capacities.map((capacity) => ({
    length: 0,
    layers: Array.from({ length: config.numHiddenLayers }, () => ({
      keys: reserve(capacity),
      values: reserve(capacity),
    })),
  }));
  const free = (sequence: Sequence): void => {
    for (const { keys, values } of sequence.layers) {
      keys.dispose();
      values.dispose();
    }
  };
  return {
    get lengths() {
      return sequences.map((sequence) => sequence.length);
    },
    append(layer, index, newKeys, newValues) {
      const { length, layers } = sequences[index]!;
      const { keys, values } = layers[layer]!;
      const count = newKeys.shape[0]!;
      keys.narrow(0, length, count).copy_(newKeys);
      values.narrow(0, length, count).copy_(newValues);
      return { keys: keys.narrow(0, 0, length + count), values: values.narrow(0, 0, length + count) };
    },
    advance(counts) {
      counts.forEach((count, i) => {
        sequences[i]!.length += count;
      });
    },
    retain(indices) {
      const kept = indices.map((index) => sequences[index]!);
      for (const sequence of sequences) if (!kept.includes(sequence)) free(sequence);
      sequences = kept;
    },
    get sizeBytes() {
      return sequences.reduce(
        (sum, { layers }) => sum + layers.reduce((bytes, layer) => bytes + 2 * layer.keys.sizeBytes, 0),
        0,
      );
    },
    [Symbol.dispose]() {
      for (const sequence of sequences) free(sequence);
      sequences = [];
    },
  };
}
