/** What the engine is asked and what it answers. */
import type { LanguageModel } from "../model/language-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { DecodeMode } from "./decode-steps.js";

/** How the next token is chosen. Nothing of it depends on what else is computed at the same time. */
export interface Decoding {
  /** 0 (the default) takes the most likely token, the smallest id among equals; 1 draws from the model's own distribution. */
  temperature?: number;
  /** Draw among the most likely tokens whose probabilities together reach this, in (0, 1]; the one that crosses it is kept. */
  topP?: number;
  /** Draw among this many most likely tokens; smaller ids first among equals. */
  topK?: number;
  /** Integer from 0 to 2^53 - 1; 0 when left out. Samples of one request differ, the same request again does not. */
  seed?: number;
}

export interface GenerationRequest extends Decoding {
  /** BOS included; not empty. */
  promptIds: ArrayLike<number>;
  maxNewTokens: number;
  /** The text ends before the earliest of them, wherever tokens end; they are found in the decoded text. */
  stop?: readonly string[];
  /** Any of these ends a text and is no part of it; the model's own end tokens when left out. */
  stopTokenIds?: readonly number[];
  /** Independent continuations; 1 when left out. The prompt is computed once. */
  samples?: number;
  /** With the log-probability of every chosen token, and of this many most likely ones beside it (0 is a number too). */
  topLogprobs?: number;
}

/**
 * `stop`: an end token or a stop string; `length`: cut at `maxNewTokens` or at the model's longest context; `cancelled`: the
 * caller's signal came first, and the text is what there was until then.
 */
export type FinishReason = "stop" | "length" | "cancelled";

/** Log-probabilities are in nats, of the model's own distribution: before temperature, top-k and top-p. */
export interface TokenLogprob {
  id: number;
  logp: number;
  /** The most likely tokens, the best first; as many as were asked for. */
  top: { id: number; logp: number }[];
}

export interface Generation {
  /** New tokens, without the end token. After a stop string: up to and with the token that completed it. */
  outputIds: Int32Array;
  /** Their text without special tokens, cut before the stop string. */
  text: string;
  finishReason: FinishReason;
  /** One for each of `outputIds`; when asked for. */
  logprobs?: TokenLogprob[];
}

/** A piece of one sample, as soon as it is certain: no half characters, nothing that may still become a stop string. */
export interface GenerationDelta {
  /** Which of the request's samples. */
  sample: number;
  /** Joined in order they are the whole text. May be empty. */
  text: string;
  /** Tokens since the last piece. */
  outputIds: number[];
  logprobs?: TokenLogprob[];
  /** Only in the last piece of a sample. */
  finishReason?: FinishReason;
}

export interface ScoreRequest {
  /** Not empty: the first continuation token needs something to follow. */
  promptIds: ArrayLike<number>;
  /** Each is scored as if it alone followed the prompt. */
  continuations: readonly ArrayLike<number>[];
}

export interface Score {
  /** Sum of `tokenLogps`, in nats. */
  logp: number;
  /** log p of each token of the continuation, given prompt and earlier ones. */
  tokenLogps: Float32Array;
  /** Whether greedy decoding would have said exactly this. */
  isGreedy: boolean;
}

export interface GenerateOptions {
  /** Aborted: what is under way ends as `cancelled` and its memory is free at once; what waits ends empty. */
  signal?: AbortSignal;
  /** Called when all samples of a request are there, in whatever order requests finish. */
  onDone?: (index: number, generations: Generation[]) => void;
  /** Called after steps of the engine. */
  onProgress?: (progress: EngineProgress) => void;
}

export interface EngineProgress {
  /** Requests finished of this call. */
  done: number;
  total: number;
  /** Tokens generated, or tokens scored, of this call so far. */
  tokens: number;
}

export interface ScoreOptions {
  signal?: AbortSignal;
  onDone?: (index: number, scores: Score[]) => void;
  onProgress?: (progress: EngineProgress) => void;
}

export interface EngineSettings {
  /**
   * Most bytes that keys and values may take; requests wait when it is full. 1 GiB when left out, or the model's whole context
   * where that is more.
   */
  kvCacheBytes?: number;
  /** Sequences computed at the same time; 32 when left out. */
  maxSequences?: number;
  /** Tokens that one step may compute; a longer prompt takes several steps, between which the others go on. 512 when left out. */
  maxStepTokens?: number;
  /**
   * How steps that only write are done: `graph` on CUDA where the binding can record, else `plain`. Tokens are the same but for the
   * rounding of sums in other shapes; `fixed` is `graph` without recording, on any device.
   */
  decodeMode?: DecodeMode;
}

export interface EngineStats {
  /** Sequences in decoding or prefill, and those that wait for room. */
  running: number;
  waiting: number;
  /** Budget, what is set aside of it, what holds live sequences, and the highest that was. */
  kvCacheBytes: number;
  kvReservedBytes: number;
  kvUsedBytes: number;
  kvPeakBytes: number;
  steps: number;
  /** Prompt tokens that went through the model, and those that did not need to: they were there already. */
  promptTokens: number;
  reusedTokens: number;
  generatedTokens: number;
  /** How steps that only write are done now, why not as asked where something cannot be recorded, and sizes recorded so far. */
  decoding: { mode: DecodeMode; because?: string; graphs: number };
}

/**
 * Generates and scores with one model. Everything that is asked at the same time shares its steps; what each gets does not
 * depend on it.
 */
export interface Engine extends AsyncDisposable {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer;
  /**
   * @returns [request][sample]
   * @throws {DataError} ERR_PROMPT_EMPTY, ERR_PROMPT_TOO_LONG, ERR_PROMPT_TOKEN, ERR_KV_BUDGET before anything is computed
   * @throws {SettingsError} ERR_DECODING for numbers that mean nothing
   */
  generate(requests: readonly GenerationRequest[], options?: GenerateOptions): Promise<Generation[][]>;
  /** Text as it becomes certain. Leaving the loop early cancels the request. */
  stream(request: GenerationRequest, options?: { signal?: AbortSignal }): AsyncIterable<GenerationDelta>;
  /**
   * Log-likelihoods; beginnings that prompts and continuations share are computed once.
   * @returns [request][continuation]; with `signal` aborted it throws the signal's reason
   */
  score(requests: readonly ScoreRequest[], options?: ScoreOptions): Promise<Score[][]>;
  stats(): EngineStats;
}
