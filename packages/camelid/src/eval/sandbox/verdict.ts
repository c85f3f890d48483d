/** What became of a program that a model wrote. */

/** A program and the tests that decide about it; all of it is Python source. */
export interface Program {
  /** What the model wrote, with the prompt it continues. */
  readonly program: string;
  /** Run behind it, in a copy of its namespace. Reaching the end without an exception is a pass. */
  readonly test: string;
  /** Name of the function under test; undefined: every function of the program that `test` names. */
  readonly entryPoint?: string;
  /** The benchmark's own part of the program, itself a program: helpers that the tests call are taken from it. */
  readonly prompt?: string;
}

/**
 * - `passed`: the tests ran to their end, and the same tests refuse altered answers.
 * - `failed`: an exception, `detail` says which.
 * - `exited`: the program ended itself (`sys.exit`, `os._exit`) before the tests were done.
 * - `tampered`: it reached for the tests instead of the task (patched built-ins, frames of its caller, answers that claim
 *   to equal everything).
 * - `timeout`, `memory`, `output-flood`: a limit was met.
 * - `crashed`: the interpreter itself gave up.
 */
export type ProgramOutcome =
  | "passed"
  | "failed"
  | "exited"
  | "tampered"
  | "timeout"
  | "memory"
  | "output-flood"
  | "crashed";

export interface ProgramVerdict {
  readonly outcome: ProgramOutcome;
  /** Exception and message, exit code, limit: one line for people; empty when passed. */
  readonly detail: string;
  /** What it printed, the beginning of it. */
  readonly output: string;
  /** From the moment the interpreter was ready until the verdict, in seconds. */
  readonly seconds: number;
}

export interface SandboxLimits {
  /** Wall clock of one program, interpreter start not counted. CPython is some three times slower here than natively. */
  readonly timeLimitMs: number;
  /** Linear memory of the interpreter, heap and stack together; 17 MiB of it are its own. */
  readonly memoryBytes: number;
  /** Bytes a program may print. */
  readonly outputBytes: number;
}

export const DEFAULT_LIMITS: SandboxLimits = {
  timeLimitMs: 10_000,
  memoryBytes: 512 * 2 ** 20,
  outputBytes: 2 ** 20,
};
