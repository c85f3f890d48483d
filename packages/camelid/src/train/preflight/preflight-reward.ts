/** Preflight of a reward model with its pairs: what is looked at once the model is there. */
import * as torch from "@camelid/torch";
import type { PairRow } from "../../data/pair-rows.js";
import type { RewardModel } from "../../model/reward-model.js";
import type { Check } from "../../run/checks.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { pairScores } from "../pair-scores.js";
import { tolerances } from "./batch-checks.js";
import { vocabularyCheck, weightsCheck } from "./model-checks.js";
import { fewPairs } from "./pair-passes.js";
import { failOnChecks } from "./preflight.js";

/** Tokens of the pairs that go through the model. */
const TOKENS = 384;

/**
 * Vocabulary, weights, and that a text's score does not depend on its company or on shared prompts.
 * @throws {DataError} ERR_PREFLIGHT
 */
export function preflightReward(
  model: RewardModel,
  tokenizer: Tokenizer,
  pairs: readonly PairRow[],
  settings: { preflight: boolean },
  start: { run: { resume?: boolean | undefined } },
): Check[] {
  if (!settings.preflight || start.run.resume) return [];
  const rows = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const checks = [
    vocabularyCheck(tokenizer, model.decoder.config.vocabSize, rows),
    weightsCheck(model.namedParameters()),
  ];
  failOnChecks(checks); // ids without an embedding would end in an error of the engine
  checks.push(companyCheck(model, fewPairs(pairs, TOKENS)));
  failOnChecks(checks);
  return checks;
}

/** Each way of laying pairs into passes gives the same scores. */
function companyCheck(model: RewardModel, pairs: readonly PairRow[]): Check {
  const name = "scores";
  if (pairs.length === 0) {
    const detail = "packing and shared prompts not looked at: even the smallest prompts are long";
    return {
      name,
      status: "warn",
      detail,
      fix: "nothing to do; `tests/parity` of the project looks at them.",
    };
  }
  const together = scoresOf(model, [pairs], true);
  const alone = pairs.map((pair) => [pair]);
  const others = [
    scoresOf(model, alone, true),
    scoresOf(model, alone, false),
    scoresOf(model, [pairs], false),
  ];
  const gap = Math.max(
    ...others.flatMap((scores) => scores.map((score, i) => Math.abs(score - together[i]!))),
  );
  const allowed = tolerances(model.dtype).loss * Math.max(1, ...together.map(Math.abs));
  const detail = `together, pair by pair, prompts not shared: scores agree to ${gap.toExponential(1)}`;
  if (gap <= allowed) return { name, status: "ok", detail };
  return {
    name,
    status: "fail",
    detail: `${detail}; ${model.dtype} allows ${allowed.toExponential(1)}`,
    fix: "how pairs are laid out changes the step. This is a bug in Camelid or in a model of your own: please report it.",
  };
}

function scoresOf(
  model: RewardModel,
  batches: readonly (readonly PairRow[])[],
  sharePrompts: boolean,
): number[] {
  return batches.flatMap((batch) => {
    using _ = torch.tensorScope();
    const { chosen, rejected } = torch.noGrad(() => pairScores(model, batch, { sharePrompts }));
    const bads = rejected.toArray();
    return chosen.toArray().flatMap((score, i) => [score, bads[i]!]);
  });
}
