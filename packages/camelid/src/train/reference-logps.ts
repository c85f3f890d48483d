/**
 * What DPO compares with, without a second model beside the trained one: the reference's log-probabilities computed once
 * before training, or adapters switched off.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Device, DType } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { z } from "zod";
import { withoutAdapters } from "../adapters/lora.js";
import { trainedTokens } from "../data/collate.js";
import { type MicroBatchPlan, microBatches } from "../data/micro-batches.js";
import type { PairRow, PairRows } from "../data/pair-rows.js";
import { SettingsError, TrainingError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { type LoadOptions, loadModel } from "../model/load.js";
import { folderWeightsHash, weightsHash } from "../model/weights-hash.js";
import { shardedBlocksOf } from "../parallel/sharded-blocks.js";
import { aloneInTheWorld, type World } from "../parallel/world.js";
import { writeFileAtomic } from "../run/atomic-write.js";
import { cacheDirectory } from "../run/cache-directory.js";
import { nextTurn } from "../run/interrupt.js";
import type { PairLogps } from "./losses/dpo.js";
import type { Shard } from "./optim/distributed-adamw.js";
import { type PairPassSettings, pairLogps, pairTokens } from "./pair-logps.js";

export interface Reference {
  /** Of pairs of the run's data; no gradients. The tensors belong to the current scope. */
  logps(pairs: readonly PairRow[]): PairLogps;
  /** @throws {TrainingError} `ERR_REFERENCE_CHANGED` when the reference is not what it was at the start */
  verify(): void;
}

/** How far a log-probability may be from a stored one, in nats per square root of its tokens: what another batch rounds. */
const ROUNDING: Partial<Record<DType, number>> = { float32: 2e-4, float16: 0.02, bfloat16: 0.05 };
/** Pairs computed again before stored numbers are trusted. */
const SAMPLE = 4;
/** Packing looks at all pairs of a part at once. */
const PART = 256;

/** Micro-batches of pairs: by count, or packed to a budget of `microBatchSize` pairs of full length. */
export function pairBatches(
  pairs: readonly PairRow[],
  settings: MicroBatchPlan & PairPassSettings,
): PairRow[][] {
  const lengths = pairs.map((pair) => pairTokens(pair, settings));
  const batches = microBatches(lengths, { ...settings, maxSeqLen: 2 * settings.maxSeqLen });
  return batches.map((batch) => batch.map((place) => pairs[place]!));
}

export interface StoredReferenceOptions extends MicroBatchPlan, PairPassSettings, LoadOptions {
  signal: AbortSignal;
  /** Called with the number of pairs done, when they have to be computed. */
  onPairs?: (done: number) => void;
  /** Where numbers are kept between runs; the user's cache unless given. */
  cache?: string;
  /** What of this model the ranks hold in parts, as of the trained one. */
  shard?: Shard;
  /** The ranks that compute a part each; only the main one reads and writes the cache, which the others may not see. */
  world?: World;
}

/**
 * The log-probabilities that the model of a folder gives the data, computed once and kept. They are found again by the hash of
 * the weights, of the token ids, and the precision; what is found is compared with a few pairs computed anew.
 * @returns undefined when the signal ended it, on any rank
 */
export async function storedReference(
  folder: string,
  { pairs, fingerprint }: Pick<PairRows, "pairs" | "fingerprint">,
  options: StoredReferenceOptions,
): Promise<Reference | undefined> {
  const { world = aloneInTheWorld() } = options;
  const shardOver = options.shard === "parameters" ? world : undefined;
  using model = loadModel(folder, { ...options, trainable: false, shardOver });
  const key = createHash("sha256")
    .update(
      JSON.stringify([
        ...["reference-logps 1", folderWeightsHash(folder), fingerprint.sha256, model.dtype],
        ...(options.quantize ? [options.quantize.doubleQuant, options.quantize.throughFp16] : []),
      ]),
    )
    .digest("hex");
  const path = join(options.cache ?? join(cacheDirectory(), "reference-logps"), `${key}.json`);
  const found = world.isMain ? readStored(path, pairs.length) : undefined;
  const isFound = world.any(found !== undefined);
  const here = isFound ? (found ?? zeros(pairs.length)) : await computeShare(model, pairs, options, world);
  if (world.any(here === undefined)) return undefined;
  const stored = sumOf(here!, world);
  checkFinite(pairs, stored);
  const reference = fromNumbers(pairs, stored, model.device);
  if (!isFound) {
    if (!world.isMain) return reference;
    mkdirSync(dirname(path), { recursive: true });
    writeFileAtomic(path, JSON.stringify(stored));
  } else checkAgainst(model, reference, pairs, options, path);
  return reference;
}

/** For a loss that compares with nothing: all zeros. */
export function noReference(device: Device): Reference {
  const none = (pairs: readonly PairRow[]) => torch.zeros([pairs.length], { dtype: "float32", device });
  return { logps: (pairs) => ({ chosen: none(pairs), rejected: none(pairs) }), verify() {} };
}

/** The model itself with its adapters switched off; one more forward pass for every micro-batch. */
export function adaptersOffReference(model: LanguageModel, settings: PairPassSettings): Reference {
  // Of weights in parts each rank watches over its own.
  const frozen = [...model.namedParameters()].filter(
    ([, tensor]) => shardedBlocksOf(tensor)?.isHere(tensor) ?? true,
  );
  const hash = weightsHash(frozen);
  return {
    logps: (pairs) => torch.noGrad(() => withoutAdapters(model, () => pairLogps(model, pairs, settings))),
    verify() {
      if (weightsHash(frozen) === hash) return;
      throw changed("the frozen weights changed while adapters were trained.", "adapters-off");
    },
  };
}

/**
 * Before the first step, policy and reference are the same model: margins are 0 and the loss is ln 2.
 * @throws {TrainingError} `ERR_REFERENCE_DIFFERS` naming the pair
 */
export function checkStartsAtReference(
  model: LanguageModel,
  reference: Reference,
  pairs: readonly PairRow[],
  settings: PairPassSettings,
): void {
  checkAgainst(model, reference, pairs, settings, "the model before its first step");
}

function checkAgainst(
  model: LanguageModel,
  reference: Reference,
  pairs: readonly PairRow[],
  settings: PairPassSettings,
  where: string,
): void {
  using _ = torch.tensorScope();
  const stride = Math.max(1, Math.floor(pairs.length / SAMPLE));
  const sample = pairs.filter((_, i) => i % stride === 0).slice(0, SAMPLE);
  const expected = reference.logps(sample);
  const given = torch.noGrad(() => pairLogps(model, sample, settings));
  for (const side of ["chosen", "rejected"] as const) {
    const [before, now] = [expected[side].toArray(), given[side].toArray()];
    sample.forEach((pair, i) => {
      const allowed =
        ROUNDING[model.dtype]! * Math.sqrt(trainedTokens(pair[side])) + 1e-5 * Math.abs(before[i]!);
      if (Math.abs(now[i]! - before[i]!) <= allowed) return;
      throw new TrainingError(
        "ERR_REFERENCE_DIFFERS",
        `the reference gives the ${side} answer of "${pair.id}" a log-probability of ${before[i]}, the model ${now[i]}.`,
        { where, fix: "remove the stored reference, or start from the model that the reference is." },
      );
    });
  }
}

interface Stored {
  chosen: number[];
  rejected: number[];
}

/** @returns zeros for the pairs of other ranks */
async function computeShare(
  model: LanguageModel,
  pairs: readonly PairRow[],
  options: StoredReferenceOptions,
  world: World,
): Promise<Stored | undefined> {
  const values = new Map<PairRow, { chosen: number; rejected: number }>();
  const mine = world.share(pairs, (pair) => pairTokens(pair, options));
  for (let from = 0; from < mine.length; from += PART) {
    for (const batch of pairBatches(mine.slice(from, from + PART), options)) {
      if (options.signal.aborted) return undefined;
      torch.noGrad(() => {
        using _ = torch.tensorScope();
        const logps = pairLogps(model, batch, options);
        const [chosen, rejected] = [logps.chosen.toArray(), logps.rejected.toArray()];
        batch.forEach((pair, i) => {
          values.set(pair, { chosen: chosen[i]!, rejected: rejected[i]! });
        });
      });
      options.onPairs?.(Math.min(pairs.length, values.size * world.size));
      await nextTurn();
    }
  }
  const all = pairs.map((pair) => values.get(pair) ?? { chosen: 0, rejected: 0 });
  return { chosen: all.map(({ chosen }) => chosen), rejected: all.map(({ rejected }) => rejected) };
}

const zeros = (count: number): Stored => {
  const none = new Array<number>(count).fill(0);
  return { chosen: none, rejected: none };
};

/** Each rank's part put together: every rank has all. */
function sumOf({ chosen, rejected }: Stored, world: World): Stored {
  return { chosen: world.sumNumbers(chosen), rejected: world.sumNumbers(rejected) };
}

function checkFinite(pairs: readonly PairRow[], { chosen, rejected }: Stored): void {
  const broken = pairs.findIndex((_, i) => !Number.isFinite(chosen[i]! + rejected[i]!));
  if (broken < 0) return;
  throw new TrainingError("ERR_NAN", "the reference's log-probability is not a number.", {
    where: `pair "${pairs[broken]!.id}"`,
    fix: "check the model with `camelid logprobs`, or use precision fp32.",
  });
}

function fromNumbers(pairs: readonly PairRow[], stored: Stored, device: string): Reference {
  const { chosen, rejected } = stored;
  const hash = hashOf(stored);
  const places = new Map(pairs.map((pair, place) => [pair, place]));
  const pick = (values: readonly number[], batch: readonly PairRow[]) =>
    torch.tensor(
      Float32Array.from(batch, (pair) => values[places.get(pair)!]!),
      { device },
    );
  return {
    logps: (batch) => ({ chosen: pick(chosen, batch), rejected: pick(rejected, batch) }),
    verify() {
      if (hashOf(stored) !== hash)
        throw changed("the stored log-probabilities changed during the run.", "stored");
    },
  };
}

const hashOf = (stored: Stored): string => createHash("sha256").update(JSON.stringify(stored)).digest("hex");

function changed(what: string, reference: string): TrainingError {
  return new TrainingError("ERR_REFERENCE_CHANGED", what, {
    where: `reference ${reference}`,
    fix: "this is a bug in Camelid, please report it.",
  });
}

const StoredFile = z.object({ chosen: z.array(z.number()), rejected: z.array(z.number()) });

/** A file that cannot be read, or is of other pairs, is as good as none: it is written again. */
function readStored(path: string, count: number): Stored | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const stored = StoredFile.parse(JSON.parse(readFileSync(path, "utf8")));
    return stored.chosen.length === count && stored.rejected.length === count ? stored : undefined;
  } catch {
    return undefined;
  }
}

/** @throws {SettingsError} `ERR_REFERENCE_NEEDS_LORA`: without adapters there is nothing to switch off */
export function checkReferenceSetting({ reference, lora }: { reference: string; lora: object | null }): void {
  if (reference !== "adapters-off" || lora !== null) return;
  throw new SettingsError("ERR_REFERENCE_NEEDS_LORA", "reference adapters-off needs adapters.", {
    where: "reference, lora",
    fix: "add `--lora-rank 16`, or use `--reference stored`.",
  });
}
