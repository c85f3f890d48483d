/**
 * What a benchmark is to the runner: items, what to ask about each of them, what the answer is worth, and how the worth of
 * all items becomes a score. A task is one file under `tasks/`; it holds no state, reads no model and writes no file.
 *
 *     load -> items -> [ requests -> answers ]* -> grade -> score, metrics
 *
 * `requests` is asked again after every round with what has been answered so far, so a second turn, a judge's look at the
 * answer or a classifier are further rounds. Everything is plain data: what was asked, answered, extracted and decided is
 * written to the predictions file as it stands, and `--replay` puts stored answers in the place of a model's.
 */
import type { Message } from "../data/conversation.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Backend } from "./backend.js";
import type { DataFolder, OfficialFile } from "./data-folder.js";

/** `tulu2-paper`: as the paper's code did it, quirks included. `standard`: as it should be done. */
export type Profile = "tulu2-paper" | "standard";

// ---------------------------------------------------------------------------------------------------------- items

export interface TaskItem {
  /** Unique in the task, the same in every run over the same files: two runs are compared by it. */
  readonly id: string;
  /** Subject, language, category: results are listed by it, and averaged over it where the task says so. */
  readonly group?: string;
  /** The right answer as people read it, for the item browser. */
  readonly target?: string;
}

// --------------------------------------------------------------------------------------------- requests and answers

/**
 * What a model is given. `messages` go through the model's chat template, ending with the user's turn; `prefix` is the
 * beginning of the assistant's answer, right behind the header. `text` is continued as it is. BOS comes from the tokenizer.
 */
export type Prompt =
  | { readonly messages: readonly Message[]; readonly prefix?: string }
  | { readonly text: string };

interface RequestBase {
  readonly prompt: Prompt;
  /** Who answers: the model under evaluation, or one of the task's own `roles` ("judge"). Default "model". */
  readonly to?: string;
}

/** Text is wanted. */
export interface GenerateRequest extends RequestBase {
  readonly kind: "generate";
  readonly maxNewTokens: number;
  /** 0, the default, is greedy. */
  readonly temperature?: number;
  readonly topP?: number;
  /** Answers wanted; default 1. The seeds are the runner's: a result does not depend on the items beside it. */
  readonly samples?: number;
  /** The text ends before the earliest of these. */
  readonly stop?: readonly string[];
  /** Log-probabilities wanted for the most likely first tokens; judges that are read by probability. */
  readonly topLogprobs?: number;
}

/** Log-probabilities of continuations of one prompt are wanted. */
export interface ScoreRequest extends RequestBase {
  readonly kind: "score";
  readonly continuations: readonly string[];
  /**
   * `joint`, the default: the tokens that prompt + continuation has beyond the prompt's own. `last`: only the last token of
   * the continuation encoded by itself, as the paper's MMLU code takes its letters.
   */
  readonly tokens?: "joint" | "last";
}

/** The log-probability of a whole text, in windows as long as the model's context. */
export interface TextRequest {
  readonly kind: "text";
  readonly text: string;
  readonly to?: string;
  /** Tokens a window holds at most; default: the model's context. */
  readonly window?: number;
  /** Tokens of the window before that a window repeats as context; default 0. */
  readonly overlap?: number;
}

/** Class probabilities of a text are wanted from a classifier. */
export interface ClassifyRequest {
  readonly kind: "classify";
  readonly text: string;
  readonly to: string;
}

export type TaskRequest = GenerateRequest | ScoreRequest | TextRequest | ClassifyRequest;

export interface GeneratedText {
  readonly text: string;
  /** `length`: cut at `maxNewTokens` or at the end of the context. */
  readonly finishReason: "stop" | "length";
  readonly tokens: number;
  /** First token's alternatives, token text -> log-probability in nats; only when `topLogprobs` was asked. */
  readonly firstLogprobs?: Readonly<Record<string, number>>;
}

export interface GenerateAnswer {
  readonly kind: "generate";
  /** As many as `samples` asked for; none when the prompt did not fit and the profile lets that pass as empty text. */
  readonly samples: readonly GeneratedText[];
  readonly promptTokens?: number;
}

export interface ScoreAnswer {
  readonly kind: "score";
  /** One per continuation. `logp` in nats, summed over `tokens`; `isGreedy`: greedy decoding would have written it. */
  readonly scores: readonly { readonly logp: number; readonly tokens: number; readonly isGreedy: boolean }[];
  readonly promptTokens?: number;
}

export interface TextAnswer {
  readonly kind: "text";
  readonly logp: number;
  /** Tokens that carry a probability (all but a first one that nothing precedes). */
  readonly tokens: number;
}

export interface ClassifyAnswer {
  readonly kind: "classify";
  readonly probabilities: readonly number[];
}

export type Answer = GenerateAnswer | ScoreAnswer | TextAnswer | ClassifyAnswer;

/** The answer to each kind of request. */
export interface AnswerOf {
  generate: GenerateAnswer;
  score: ScoreAnswer;
  text: TextAnswer;
  classify: ClassifyAnswer;
}

// ---------------------------------------------------------------------------------------------------------- grading

/**
 * `failed` means that there is no verdict (an unreadable judgment, a sandbox that would not start): the item is counted and
 * shown, and left out of the score. A text from which nothing could be extracted is not `failed`: it has a verdict, which is
 * usually `wrong`, and `extractionFailed` says why.
 */
export type Verdict = "right" | "wrong" | "failed";

export interface Grade {
  readonly verdict: Verdict;
  /** What the item contributes: 1 or 0, F1, a win, a rating. Ignored when failed. */
  readonly score: number;
  /** What was read out of the answer, as text; null when nothing was found. */
  readonly extracted: string | null;
  readonly extractionFailed?: boolean;
  /** Further numbers of the item, averaged by `metrics` as the task likes. */
  readonly values?: Readonly<Record<string, number>>;
  /** One line for the item browser: why it failed, what the sandbox said. */
  readonly note?: string;
  /** Anything else worth keeping in the predictions file; plain JSON. */
  readonly details?: unknown;
}

/** An item with a verdict other than `failed`: what scores are computed from. */
export interface Graded {
  readonly id: string;
  readonly group: string | undefined;
  readonly score: number;
  readonly values: Readonly<Record<string, number>>;
}

// ------------------------------------------------------------------------------------------------------------- task

export interface Task<Item extends TaskItem = TaskItem> {
  /** As in `--tasks`: `gsm8k`. */
  readonly name: string;
  /** As in reports: `GSM8K`. */
  readonly title: string;
  /** One line: what it measures, with how many shots. */
  readonly summary: string;
  /** What each profile does, for reports and docs. The first sentence fits a table. */
  readonly profiles: Readonly<Record<Profile, string>>;
  /** Name and unit of the score: `{ name: "exact match", unit: "%" }`; scores in % are 0 to 100. */
  readonly metric: { readonly name: string; readonly unit: "%" | ""; readonly lowerIsBetter?: boolean };
  /** Official files, by the path they have in the data folder. */
  readonly files: readonly OfficialFile[];
  /** Answerers other than the model, each opened when its first request comes: `{ judge: openJudge }`. */
  readonly roles?: Readonly<Record<string, (settings: RoleSettings) => Promise<Backend>>>;
  /** Needs log-probabilities of the model, which chat endpoints do not give. */
  readonly needsScores?: boolean;
  /** Options it takes (`--options task.name=value`), name -> what it does. Where given, others are refused. */
  readonly options?: Readonly<Record<string, string>>;
  /** Has no official prompts of its own but takes files of the user's (`--text`). */
  readonly userFiles?: boolean;

  /** Items in a fixed order, the profile's subset already drawn. Throws DataError for missing or damaged files. */
  load(context: TaskContext): Promise<readonly Item[]>;
  /**
   * What to ask next, knowing the answers so far (in the order of the requests); empty when nothing is left to ask.
   * All requests of a round go out together.
   */
  requests(
    item: Item,
    answers: readonly Answer[],
    context: TaskContext,
  ): readonly TaskRequest[] | Promise<readonly TaskRequest[]>;
  /** What the answers are worth. Slow work (a sandbox) may be awaited; several items are graded at once. */
  grade(item: Item, answers: readonly Answer[], context: TaskContext): Grade | Promise<Grade>;
  /**
   * The headline number. Called on resamples too, thousands of times: a plain mean, nothing else (`meanScore`,
   * `meanOverGroups` of metrics.ts). NaN for no items. Also called for each group alone.
   */
  score(graded: readonly Graded[], profile: Profile): number;
  /** Further named numbers for tables; `unit` as in `metric`. */
  metrics?(graded: readonly Graded[], context: TaskContext): Readonly<Record<string, number>>;
  /** Formats of stored outputs or judgments, other than our own predictions files, that `--replay` takes. */
  readonly replays?: readonly ReplayFormat<Item>[];
}

export interface TaskContext {
  readonly profile: Profile;
  readonly data: DataFolder;
  /** Whether prompts are wrapped into a chat format; false for base models. */
  readonly chat: boolean;
  /** Demonstrations in the prompt, when the user wants another number than the task's own. */
  readonly shots: number | undefined;
  /** First seed of whatever is drawn. 42, the paper's, unless told otherwise. */
  readonly seed: number;
  /** The model's tokenizer; undefined for endpoints without `--tokenizer`. */
  readonly tokens: TokenTools | undefined;
  /** Whether the model answers `score` and `text` requests. */
  readonly canScore: boolean;
  /** Programs or judgments handled at once. */
  readonly concurrency: number;
  /** `--set task.key=value` for this task, as given. */
  readonly settings: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** A remark for metrics.json and the report: a missing language, a substituted demonstration. Said once. */
  note(text: string): void;
}

export interface TokenTools {
  readonly tokenizer: Tokenizer;
  /** Tokens that prompt and answer may have together. */
  readonly contextLength: number;
  /** Tokens of a prompt as the model gets it, BOS and template included. */
  count(prompt: Prompt): Promise<number>;
}

/** Where the answerers of a task's `roles` are found: from the command line. */
export interface RoleSettings {
  /** The role's name: "judge". */
  readonly role: string;
  /** OpenAI-compatible base URL. */
  readonly endpoint?: string;
  /** Model name at the endpoint, or a model folder. */
  readonly model?: string;
  /** Environment variable with the key. */
  readonly apiKeyEnv?: string;
  /** Dollars per million tokens in and out, for the cost counter. */
  readonly price?: readonly [input: number, output: number];
  /** Folder where answers are kept between runs. */
  readonly cache: string;
  /** Show prompts, ask nobody. */
  readonly dryRun: boolean;
  readonly concurrency: number;
  readonly signal: AbortSignal;
}

// ----------------------------------------------------------------------------------------------------------- replay

/** A foreign file format with answers, or answers and judgments, of one or more systems. */
export interface ReplayFormat<Item extends TaskItem = TaskItem> {
  /** For messages: `GSM8K example_model_solutions.jsonl`. */
  readonly name: string;
  /** Whether a file is of this format, from its name (`.gz` taken off) and its first record (undefined: not JSON). */
  recognises(fileName: string, first: unknown): boolean;
  /** @param file with every record, and where it lies */
  read(file: ReplayFile, context: TaskContext): Promise<readonly ReplayRun<Item>[]>;
}

export interface ReplayFile {
  readonly path: string;
  /** Without folder and `.gz`. */
  readonly name: string;
  /** JSON lines, elements of a JSON array, or the one value of a JSON file, parsed. */
  readonly records: readonly unknown[];
}

/** Answers of one system. Files that name the same `run` are put together (BBH comes as one file per task). */
export interface ReplayRun<Item extends TaskItem = TaskItem> {
  /** The system that wrote the answers: `175b_verification`. */
  readonly run: string;
  readonly entries: readonly ReplayEntry<Item>[];
}

export interface ReplayEntry<Item extends TaskItem = TaskItem> {
  readonly item: Item;
  /** In the order `requests` would have asked, judgments included. */
  readonly answers: readonly Answer[];
  /** What the answer was given to, as stored; for the item browser. */
  readonly prompt?: string;
  /** The verdict stored upstream, if there is one: agreement is counted and disagreements are listed. */
  readonly upstreamScore?: number;
}
