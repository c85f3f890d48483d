import type { Device, DType, Tensor } from "@camelid/torch";
import type { Linear } from "../nn/linear.js";
import type { PackedRows } from "../nn/packed-rows.js";
import type { KeyValueCache } from "./kv-cache.js";
import type { ModelConfig } from "./model-config.js";

/** What training, generation and evaluation need of a model. */
export interface LanguageModel extends Disposable {
  readonly config: ModelConfig;
  readonly device: Device;
  /** Dtype of the weights and of the activations. */
  readonly dtype: DType;
  /** [vocab, hidden]: turns hidden states into logits. */
  readonly headWeight: Tensor;
  /** Keep only each block's input for the backward pass and compute the rest again there: less memory, same numbers. */
  activationCheckpointing: boolean;
  /** With it: these inputs wait in host memory, and come back while the pass goes on. */
  activationOffload: boolean;
  /**
   * Hidden states after the final norm, ready for the head.
   * @param cache holds the earlier tokens of each row, and takes the new ones; `rows.positions` continue it
   * @returns [tokens, hidden]
   */
  hiddenStates(rows: PackedRows, cache?: KeyValueCache): Tensor;
  /** Weights by the checkpoint's names; a tied head appears once, as the embedding. */
  namedParameters(): Map<string, Tensor>;
  /** Exchanges one projection, by name, for what `replace` makes of it. */
  replaceLinear(name: string, replace: (original: Linear) => Linear): void;
  linears(): Iterable<Linear>;
}
