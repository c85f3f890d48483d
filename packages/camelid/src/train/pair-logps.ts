/** Log-probabilities of the answers of preference pairs, in one pass over the micro-batch. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { collateTargets, type Targets, type TokenRow, trainedTokens } from "../data/collate.js";
import type { PairRow } from "../data/pair-rows.js";
import { IGNORE_INDEX } from "../data/render.js";
import type { LanguageModel } from "../model/language-model.js";
import { tokenLogps } from "../nn/log-probs.js";
import { type PackedRows, packBranches, packRows } from "../nn/packed-rows.js";
import type { PairLengths, PairLogps } from "./losses/dpo.js";

export interface PairPassSettings {
  /** The common prompt goes through the model once for both sides; same numbers up to rounding. */
  sharePrompts: boolean;
}

/** Tokens that a pair adds to a micro-batch. */
export function pairTokens(pair: PairRow, { sharePrompts }: PairPassSettings): number {
  const whole = pair.chosen.inputIds.length + pair.rejected.inputIds.length;
  return sharePrompts ? whole - pair.promptTokens : whole;
}

/** @returns summed over each answer's trained tokens; differentiable */
export function pairLogps(
  model: LanguageModel,
  pairs: readonly PairRow[],
  settings: PairPassSettings,
): PairLogps {
  const sides = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const layout = settings.sharePrompts ? branched(model, pairs) : plain(model, sides);
  const [chosen, rejected] = answerSums(model, sides, layout).view([-1, 2]).unbind(1) as [Tensor, Tensor];
  return { chosen, rejected };
}

/** @returns [rows] fp32: log-probabilities summed over each row's trained tokens; differentiable */
export function answerLogps(model: LanguageModel, rows: readonly TokenRow[]): Tensor {
  return answerSums(model, rows, plain(model, rows));
}

function answerSums(model: LanguageModel, rows: readonly TokenRow[], layout: Layout): Tensor {
  const { packed, positions, labels } = layout;
  const hidden = model.hiddenStates(packed).indexSelect(0, positions); // [trained, hidden]
  const perToken = tokenLogps(hidden, model.headWeight, labels);
  return torch.stack(perToken.split(rows.map(trainedTokens)).map((logps) => logps.sum()));
}

/** Rows in a stretch, and where each trained token is predicted. */
type Layout = { packed: PackedRows } & Pick<Targets, "positions" | "labels">;

/** Trained tokens of each answer, fp32. */
export function pairLengths({ device }: LanguageModel, pairs: readonly PairRow[]): PairLengths {
  const side = (name: "chosen" | "rejected"): Tensor =>
    torch.tensor(
      Float32Array.from(pairs, (pair) => trainedTokens(pair[name])),
      { device },
    );
  return { chosen: side("chosen"), rejected: side("rejected") };
}

function plain({ device }: LanguageModel, rows: readonly TokenRow[]): Layout {
  const inputIds = rows.map((row) => row.inputIds);
  return { ...collateTargets(rows, device, () => 0), packed: packRows(inputIds, device) };
}

/**
 * Where each trained token is predicted when a pair lies in the stretch as prompt, rest of chosen, rest of rejected: the first
 * token of both answers by the prompt's last.
 */
function branched({ device }: LanguageModel, pairs: readonly PairRow[]): Layout {
  const groups = pairs.map(({ promptTokens, chosen, rejected }) => ({
    prefix: chosen.inputIds.subarray(0, promptTokens),
    rests: [chosen.inputIds.subarray(promptTokens), rejected.inputIds.subarray(promptTokens)],
  }));
  const positions: bigint[] = [];
  const labels: bigint[] = [];
  let start = 0;
  for (const { promptTokens, chosen, rejected } of pairs) {
    let rest = start + promptTokens;
    for (const side of [chosen, rejected]) {
      for (let i = 1; i < side.labels.length; i++) {
        if (side.labels[i] === IGNORE_INDEX) continue;
        const from = i - 1;
        positions.push(BigInt(from < promptTokens ? start + from : rest + from - promptTokens));
        labels.push(BigInt(side.labels[i]!));
      }
      rest += side.inputIds.length - promptTokens;
    }
    start = rest;
  }
  return {
    packed: packBranches(groups, device),
    positions: torch.tensor(BigInt64Array.from(positions), { device }),
    labels: torch.tensor(BigInt64Array.from(labels), { device }),
  };
}
