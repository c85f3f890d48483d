import { join } from "node:path";
import { readManifest, type SourceManifest } from "../../data/mix/manifest.js";
import { leaves } from "../../settings/diff.js";
import { valueText } from "../../settings/print.js";
import type { MixDetail, MixSource } from "../api.js";
import { firstRowKind } from "../rows/first-row-kind.js";

/** The manifest of a mixture, without what only a program needs. */
export function mixDetail(folder: string, id: string): MixDetail {
  const manifest = readManifest(join(folder, "manifest.json"));
  const { mixture, made, seed, tokenizer, totals, sources, missing, settings, nearDedup, files } = manifest;
  return {
    ...{
      id,
      name: mixture,
      kind: firstRowKind(join(folder, "train.jsonl")),
      madeAt: made.at,
      seconds: made.seconds,
      seed,
    },
    tokenizer: tokenizer?.folder ?? null,
    totals: { ...totals },
    sources: sources.map(sourceOf),
    missing: missing.map(({ source, looked }) => `${source}: ${looked}`),
    settings: [...leaves(settings)].map(([key, value]) => ({ key, value: valueText(value) })),
    nearDuplicates:
      nearDedup === undefined
        ? null
        : {
            removed: nearDedup.removed,
            clusters: nearDedup.clusters.count,
            largest: nearDedup.clusters.largest,
            pairs: nearDedup.pairs.slice(0, 50),
          },
    files: Object.entries(files).map(([name, file]) => ({ name, ...fileNumbers(file) })),
  };
}

function fileNumbers(file: object): { rows: number; bytes: number; sha256: string } {
  const {
    rows = 0,
    records = 0,
    bytes = 0,
    sha256 = "",
  } = file as Record<string, number> & { sha256?: string };
  return { rows: rows || records, bytes, sha256: String(sha256) };
}

const COUNTS = [
  ...[
    "read",
    "bad",
    "notSampled",
    "rejected",
    "used",
    "converted",
    "sampled",
    "filtered",
    "deduplicated",
    "nearDuplicates",
  ],
  ...["contaminated", "overQuota", "heldOut", "written", "turns", "chars", "tokens", "trainedTokens"],
] as const;

function sourceOf(source: SourceManifest): MixSource {
  const { name, format, rule, draws, droppedReasons, filterHits, lostTo, contacts, languages, lengths } =
    source;
  const numbers = source as unknown as Record<string, number>;
  return {
    ...{ name, format, rule, draws: [...draws], droppedReasons, filterHits, lostTo, contacts, languages },
    counts: Object.fromEntries(COUNTS.map((key) => [key, numbers[key] ?? 0])),
    unit: lengths.unit,
    quantiles: [...lengths.quantiles],
    badRows: source.badRows
      .slice(0, 50)
      .map(({ code, message, where }) => ({ code, message, where: where ?? "" })),
    contaminatedRows: source.contaminatedRows
      .slice(0, 50)
      .map(({ id, benchmark, item, text }) => ({ id, benchmark, item: String(item), text })),
  };
}
