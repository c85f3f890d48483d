/**
 * Generation and scoring with one model: requests of all callers share the steps of one loop. The loop runs while there is
 * work and lets other things happen between two steps; in a step nothing waits.
 */
import { setImmediate } from "node:timers/promises";
import * as torch from "@camelid/torch";
import { InternalError, SettingsError } from "../errors.js";
import { blocksFor, KvBlocks } from "../model/kv-cache.js";
import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { checkGeneration, checkScore } from "./check-requests.js";
import { type DecodeMode, DecodeSteps } from "./decode-steps.js";
import { generateAll } from "./generate-all.js";
import { PrefixTree } from "./prefix-tree.js";
import type { Engine, EngineSettings, EngineStats, GenerationRequest } from "./requests.js";
import { Scheduler } from "./scheduler.js";
import { scoreAll } from "./score-all.js";
import { type EngineSequence, runStep } from "./step.js";
import { streamOne } from "./stream-one.js";

/** Where sequences are handed in, and where they are taken out before their end. */
export interface Queue {
  add(sequence: EngineSequence, onFailure: (error: unknown) => void): void;
  /** Ended or not wanted any more: its memory is free at once. */
  remove(sequence: EngineSequence): void;
}

/**
 * @param model stays the caller's: it is not disposed of with the engine. Its weights must not change while the engine lives,
 * or what is kept of earlier prompts would be another model's.
 */
export function createEngine(
  model: LanguageModel,
  tokenizer: Tokenizer,
  settings: EngineSettings = {},
): Engine {
  const { kvCacheBytes = defaultBudget(model), maxSequences = 32, maxStepTokens = 512 } = settings;
  const { decodeMode = torch.canRecordGraphs(model.device) ? "graph" : "plain" } = settings;
  checkDecodeMode(decodeMode, model);
  const loop = new Loop(model, kvCacheBytes, { maxSequences, maxStepTokens }, decodeMode);
  const { blocks } = loop;
  const { config } = model;
  const check = (requests: readonly GenerationRequest[]): void =>
    requests.forEach((request, index) => {
      checkGeneration(request, index, config, blocks);
    });
  return {
    model,
    tokenizer,
    async generate(requests, options = {}) {
      loop.refuseClosed();
      check(requests);
      return generateAll(loop, model, tokenizer, requests, options);
    },
    stream(request, options = {}) {
      loop.refuseClosed();
      check([request]);
      return streamOne(loop, model, tokenizer, request, options.signal);
    },
    async score(requests, options = {}) {
      loop.refuseClosed();
      requests.forEach((request, index) => {
        checkScore(request, index, config, blocks);
      });
      return scoreAll(loop, requests, options);
    },
    stats: () => loop.stats(),
    [Symbol.asyncDispose]: () => loop.close(),
  };
}

/** 1 GiB, and where that is not enough, what one sequence of the model's whole context takes. */
function defaultBudget(model: LanguageModel): number {
  const { blockBytes } = new KvBlocks(model.config, 0, model);
  return Math.max(2 ** 30, blocksFor(model.config.maxPositionEmbeddings) * blockBytes);
}

function checkDecodeMode(decodeMode: DecodeMode, { device }: LanguageModel): void {
  if (decodeMode !== "graph" || torch.canRecordGraphs(device)) return;
  throw new SettingsError(
    "ERR_DECODING_GRAPH",
    'decodeMode "graph" needs a CUDA device and the binding\'s CUDA part.',
    {
      where: `the model is on ${device}`,
      fix: 'leave it out, or use "fixed" or "plain"; `camelid doctor` says what is missing.',
    },
  );
}

class Loop implements Queue {
  readonly blocks: KvBlocks;
  readonly #model: LanguageModel;
  readonly #budget: number;
  readonly #scheduler: Scheduler<EngineSequence>;
  readonly #decode: DecodeSteps;
  readonly #failures = new Map<EngineSequence, (error: unknown) => void>();
  #running: Promise<void> | undefined;
  #closed = false;
  #steps = 0;
  #promptTokens = 0;
  #generatedTokens = 0;

  constructor(
    model: LanguageModel,
    kvCacheBytes: number,
    limits: { maxSequences: number; maxStepTokens: number },
    decodeMode: DecodeMode,
  ) {
    this.#model = model;
    this.#budget = kvCacheBytes;
    const { device, dtype } = model;
    this.blocks = new KvBlocks(model.config, kvCacheBytes, { device, dtype, masked: decodeMode !== "plain" });
    this.#decode = new DecodeSteps(model, this.blocks, decodeMode);
    this.#scheduler = new Scheduler(new PrefixTree(this.blocks), limits);
  }

  refuseClosed(): void {
    if (this.#closed) throw new InternalError("the engine was used after it was disposed of.");
  }

  add(sequence: EngineSequence, onFailure: (error: unknown) => void): void {
    this.#failures.set(sequence, onFailure);
    this.#scheduler.add(sequence);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  remove(sequence: EngineSequence): void {
    this.#failures.delete(sequence);
    this.#scheduler.remove(sequence);
  }

  async #run(): Promise<void> {
    // Not in the turn of the caller: a tensor scope of his may be open.
    for (await setImmediate(); !this.#scheduler.isIdle; await setImmediate()) {
      try {
        this.#step();
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #step(): void {
    const rows = this.#scheduler.plan();
    if (rows.length === 0) throw new InternalError("the scheduler found nothing to compute.");
    const outcomes = this.#decode.serves(rows)
      ? this.#decode.run(rows)
      : runStep(this.#model, this.blocks, rows);
    this.#steps++;
    for (const { sequence, position, count } of rows) {
      const isPrompt = sequence.kind === "scored" || position < sequence.promptLength;
      if (isPrompt) this.#promptTokens += count;
      if (sequence.kind === "written" && position + count === sequence.tokens.length) this.#generatedTokens++;
    }
    this.#scheduler.advance(rows);
    for (const outcome of outcomes) outcome();
  }

  /** Whose step failed is not known: everything under way ends with the error. Nothing stays behind. */
  #fail(error: unknown): void {
    const affected = [...this.#failures];
    for (const [sequence] of affected) this.remove(sequence);
    for (const [, onFailure] of affected) onFailure(error);
  }

  stats(): EngineStats {
    return {
      running: this.#scheduler.running.length,
      waiting: this.#scheduler.waiting,
      kvCacheBytes: this.#budget,
      kvReservedBytes: this.blocks.reservedBytes,
      kvUsedBytes: this.blocks.usedBytes,
      kvPeakBytes: this.blocks.peakBytes,
      steps: this.#steps,
      promptTokens: this.#promptTokens,
      reusedTokens: this.#scheduler.reusedTokens,
      generatedTokens: this.#generatedTokens,
      decoding: this.#decode.state,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#fail(new InternalError("the engine was disposed of while it was working."));
    await this.#running;
    this.#decode[Symbol.dispose]();
    this.blocks[Symbol.dispose]();
  }
}
