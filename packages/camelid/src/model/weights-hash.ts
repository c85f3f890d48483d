/** One hash for the weights of a model: what a reference or an adapter's base is known by. */
import { createHash } from "node:crypto";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { hold } from "../parallel/sharded-blocks.js";
import { readModelWeights } from "./load.js";

/**
 * Of names, shapes, dtypes and bytes; the order does not matter.
 * @returns sha256 in lower-case hex
 */
export function weightsHash(weights: Iterable<readonly [string, Tensor]>): string {
  const lines: string[] = [];
  for (const [name, tensor] of weights) lines.push(tensorLine(name, tensor));
  return createHash("sha256").update(lines.sort().join("\n")).digest("hex");
}

/** Each weight of a model in parts is there while it is the current one; the other ranks must be waiting (`World.meet`). */
export function* heldOneByOne(
  weights: Iterable<readonly [string, Tensor]>,
): Generator<readonly [string, Tensor]> {
  for (const [name, tensor] of weights) {
    hold(tensor);
    yield [name, tensor];
  }
}

/** The same of a model folder, in the precision of its files; how they are cut into shards does not matter. */
export function folderWeightsHash(folder: string): string {
  const lines: string[] = [];
  for (const [name, tensor] of readModelWeights(folder)) {
    lines.push(tensorLine(name, tensor));
    tensor.dispose();
  }
  return createHash("sha256").update(lines.sort().join("\n")).digest("hex");
}

/** Elements at either end of a tensor that stand for it. */
const SAMPLE = 256;

/**
 * Tells models apart without reading them: of names, shapes, dtypes and a few elements of every tensor.
 * @returns sha256 in lower-case hex
 */
export function folderSampleHash(folder: string): string {
  const lines: string[] = [];
  for (const [name, tensor] of readModelWeights(folder)) {
    using _ = torch.tensorScope();
    const count = Math.min(SAMPLE, tensor.numel);
    const flat = tensor.view([-1]);
    const ends = torch.cat([flat.narrow(0, 0, count), flat.narrow(0, tensor.numel - count, count)]);
    lines.push(tensorLine(`${name} [${tensor.shape}]`, ends));
    tensor.dispose();
  }
  return createHash("sha256").update(lines.sort().join("\n")).digest("hex");
}

function tensorLine(name: string, tensor: Tensor): string {
  const bytes = createHash("sha256").update(tensor.toBytes()).digest("hex");
  return `${name} ${tensor.dtype} [${tensor.shape}] ${bytes}`;
}
