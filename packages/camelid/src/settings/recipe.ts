import type { z } from "zod";
import type { World } from "../parallel/world.js";
import type { Replay } from "../run/replay-run.js";
import type { Origin } from "./origin.js";

/**
 * What a file in `recipes/` exports. A recipe imports only from "camelid" and "@camelid/torch", so that a copy of
 * it (`camelid copy sft ./mine.ts`) works anywhere.
 *
 * @example
 * export const settings = z.strictObject({ model: knobs.model, out: knobs.out, learningRate: knobs.learningRate });
 * export const presets = { small: () => ({ learningRate: 1e-3 }) } satisfies Presets<typeof settings>;
 * export async function run(settings: z.output<typeof settings>, context: RecipeContext): Promise<RunOutcome> { ... }
 */
export interface Recipe<S extends z.ZodObject = z.ZodObject> {
  /** Every knob of the recipe; a strict object, so that unknown keys are errors. */
  readonly settings: S;
  readonly presets: Presets<S>;
  /** Whether `run` honours `context.resume`. Without it the command has no `--resume`: never silently ignored. */
  readonly resumable?: boolean;
  /** Whether `run` honours `context.world`. Without it the command has no `--nproc`, and every process is alone. */
  readonly parallel?: boolean;
  /** What Ctrl+C does, for people, where it is not to stop after a step and save. */
  readonly interruptText?: string;
  /** Throws over settings that are right one by one and not together; `run` does the same before anything else. */
  check?(settings: z.output<S>): void;
  run(settings: z.output<S>, context: RecipeContext): Promise<RunOutcome>;
}

/** Settings that only the user can know; a preset may leave them open. */
type PlaceKey = "model" | "data" | "out";

/** Complete settings but for the places: the compiler names a knob that a preset forgot. */
export type Preset<S extends z.ZodObject> = Omit<z.output<S>, PlaceKey> &
  Partial<Pick<z.output<S>, PlaceKey & keyof z.output<S>>>;

/** Presets by the name that `--preset` takes. Functions, so that one can start from another and change two fields. */
export type Presets<S extends z.ZodObject> = Readonly<Record<string, () => Preset<S>>>;

/** `interrupted` means: asked to stop, stopped between two steps, saved. The command line then exits with 130. */
export type RunOutcome = "completed" | "interrupted";

/** What the surroundings of a run tell it. The command line fills it in; a program or a test can as well. */
export interface RecipeContext {
  /** The recipe's name, for settings.json. */
  readonly recipe: string;
  /** Where each setting comes from, by dotted key. */
  readonly origins: Readonly<Record<string, Origin>>;
  /** Continue the run in `settings.out` from its last complete checkpoint. */
  readonly resume: boolean;
  /** Recompute a step of the run in `settings.out`; `openRun` then gives a run that writes nothing. */
  readonly replay?: Replay;
  /** The processes that train together; left out, this one is alone. */
  readonly world?: World;
  /** Aborted when the run should stop after the current step and save. */
  readonly signal: AbortSignal;
  /** How to show progress: a live line, plain lines, JSON lines, or not at all. */
  readonly output: "terminal" | "lines" | "json" | "silent";
}
