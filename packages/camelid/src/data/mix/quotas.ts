/** What each source is asked for, in rows or trained tokens, once weights are divided. */
import { SettingsError } from "../../errors.js";
import type { Mixture, MixtureSource } from "../mixture.js";

export interface ResolvedQuota {
  readonly rows?: number;
  readonly trainedTokens?: number;
  /** Repeat rows where there are too few. */
  readonly upsample: boolean;
}

/** One entry per source, in order. @throws {SettingsError} when weights have no total to divide */
export function resolveQuotas({ sources, total }: Mixture): ResolvedQuota[] {
  const weights = sources.map(({ quota }) => (quota?.by === "weight" ? quota.weight : 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum > 0 && total === undefined) {
    throw new SettingsError(
      "ERR_MIX_TOTAL",
      "sources have weights, but the mixture has no total to divide.",
      {
        fix: "add total: { rows: 100000 } or total: { trainedTokens: 50000000 }.",
      },
    );
  }
  const rowShares =
    total !== undefined && "rows" in total && sum > 0 ? apportion(total.rows, weights) : undefined;
  return sources.map((source, i) => resolve(source, weights[i]! / sum, rowShares?.[i], total));
}

function resolve(
  { quota }: MixtureSource,
  share: number,
  rowShare: number | undefined,
  total: Mixture["total"],
): ResolvedQuota {
  switch (quota?.by) {
    case undefined:
      return { upsample: false };
    case "rows":
      return { rows: quota.rows, upsample: quota.upsample ?? false };
    case "trained-tokens":
      return { trainedTokens: quota.tokens, upsample: quota.upsample ?? false };
    case "weight":
      if (rowShare !== undefined) return { rows: rowShare, upsample: true };
      return {
        trainedTokens: Math.round((total as { trainedTokens: number }).trainedTokens * share),
        upsample: true,
      };
    default:
      throw new SettingsError("ERR_MIX_QUOTA", `unknown quota ${JSON.stringify(quota satisfies never)}.`);
  }
}

/** Whole numbers in proportion to the weights that add up to `total`: largest remainders get the rest. */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  const shares = exact.map(Math.floor);
  const rest = total - shares.reduce((a, b) => a + b, 0);
  const byRemainder = exact
    .map((value, i) => ({ i, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.i - b.i);
  for (const { i } of byRemainder.slice(0, rest)) shares[i]!++;
  return shares;
}
