/** What the parity tests do with a stored tiny model: load it in fp32, and compute rows the way the references did. */
import * as torch from "@camelid/torch";
import { blocksFor, KvBlocks } from "../../packages/camelid/src/model/kv-cache.js";
import type { LanguageModel } from "../../packages/camelid/src/model/language-model.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { scaledNll, tokenLogps } from "../../packages/camelid/src/nn/log-probs.js";
import { packRows } from "../../packages/camelid/src/nn/packed-rows.js";
import { parityPath } from "./reference.js";

export interface TokenRow {
  input_ids: number[];
  /** -100 where a token is not trained. */
  labels: number[];
}

/** @param folder path under tests/parity */
export function loadTinyLlama(folder: string, trainable = false): LanguageModel {
  return loadModel(parityPath(folder), { dtype: "float32", trainable });
}

/** Logits of each row, [length, vocab], from one pass over all rows packed end to end. */
export function packedLogits(model: LanguageModel, rows: readonly (readonly number[])[]): torch.Tensor[] {
  return torch.tensorScope(() => {
    const packed = packRows(rows, "cpu");
    return torch.noGrad(() =>
      torch.linear(model.hiddenStates(packed), model.headWeight).split(packed.lengths),
    );
  });
}

/** log p of every next id of each row, [length - 1], from one packed pass. */
export function packedTokenLogps(model: LanguageModel, rows: readonly (readonly number[])[]): torch.Tensor[] {
  return torch.tensorScope(() => {
    const packed = packRows(rows, "cpu");
    // The prediction after a row's last token belongs to nobody.
    const predicting = packed.lengths.map((length) => length - 1);
    const { at } = targets(rows, () => true);
    return torch.noGrad(() => {
      const hidden = model.hiddenStates(packed).indexSelect(0, torch.tensor(at, { dtype: "int64" }));
      const next = torch.tensor(
        rows.flatMap((row) => row.slice(1)),
        { dtype: "int64" },
      );
      return tokenLogps(hidden, model.headWeight, next).split(predicting);
    });
  });
}

/** Token-mean loss over the trained labels of all rows, in one packed pass; gradients are left on the parameters. */
export function backwardOfTokenMean(
  model: LanguageModel,
  rows: readonly TokenRow[],
): { loss: number; tokens: number } {
  using _ = torch.tensorScope();
  const { at, labels } = targets(
    rows.map((row) => row.labels),
    (label) => label !== -100,
  );
  const hidden = model.hiddenStates(
    packRows(
      rows.map((row) => row.input_ids),
      "cpu",
    ),
  );
  const { loss } = scaledNll(
    hidden.indexSelect(0, torch.tensor(at, { dtype: "int64" })),
    model.headWeight,
    torch.tensor(labels, { dtype: "int64" }),
    1 / at.length,
  );
  loss.backward();
  return { loss: loss.item(), tokens: at.length };
}

/** Places in the packed stretch whose next label is wanted, and those labels. A row's first label is never a target. */
function targets(rows: readonly (readonly number[])[], isWanted: (label: number) => boolean) {
  const at: number[] = [];
  const labels: number[] = [];
  let start = 0;
  for (const row of rows) {
    row.slice(1).forEach((label, position) => {
      if (!isWanted(label)) return;
      at.push(start + position);
      labels.push(label);
    });
    start += row.length;
  }
  return { at, labels };
}

/** Greedy continuation that computes the whole text anew for every token. */
export function greedyWithoutCache(model: LanguageModel, prompt: readonly number[], count: number): number[] {
  const ids = [...prompt];
  while (ids.length < prompt.length + count) {
    using _ = torch.tensorScope();
    ids.push(packedLogits(model, [ids])[0]!.select(0, -1).argmax().item());
  }
  return ids.slice(prompt.length);
}

/** Greedy continuation with a key-value cache. */
export function greedyWithCache(model: LanguageModel, prompt: readonly number[], count: number): number[] {
  using text = new CachedText(model, prompt.length + count);
  const output: number[] = [];
  let fed = prompt;
  while (output.length < count) {
    using _ = torch.tensorScope();
    const next = text.logits(fed).select(0, -1).argmax().item();
    output.push(next);
    fed = [next];
  }
  return output;
}

/** Logits of one row, [length, vocab], that enters a key-value cache in stretches of the given lengths. */
export function logitsInStretches(
  model: LanguageModel,
  row: readonly number[],
  stretches: readonly number[],
): torch.Tensor {
  using text = new CachedText(model, row.length);
  return torch.tensorScope(() => {
    let start = 0;
    const parts = stretches.map((length) => {
      start += length;
      return text.logits(row.slice(start - length, start));
    });
    return torch.cat(parts);
  });
}

/** One text in a cache of its own. */
class CachedText implements Disposable {
  readonly #model: LanguageModel;
  readonly #cache: KvBlocks;
  readonly #blocks: number[];
  #length = 0;

  constructor(model: LanguageModel, capacity: number) {
    const { blockBytes } = new KvBlocks(model.config, 0, model);
    this.#model = model;
    this.#cache = new KvBlocks(model.config, blocksFor(capacity) * blockBytes, model);
    this.#blocks = Array.from({ length: blocksFor(capacity) }, () => this.#cache.take()!);
  }

  logits(ids: readonly number[]): torch.Tensor {
    const row = { blocks: this.#blocks, position: this.#length, count: ids.length };
    this.#length += ids.length;
    const packed = packRows([ids], "cpu", [row.position]);
    return torch.noGrad(() =>
      torch.linear(this.#model.hiddenStates(packed, this.#cache.rows([row])), this.#model.headWeight),
    );
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }
}
