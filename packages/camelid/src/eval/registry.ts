/** The tasks by name. A task's module is loaded when it is asked for. */
import { SettingsError } from "../errors.js";
import { closest } from "../settings/suggest.js";
import type { Task, TaskItem } from "./task.js";

/** In the order of the paper's columns. */
const TASKS: Readonly<Record<string, () => Promise<Task>>> = {
  mmlu: async () => erase((await import("./tasks/mmlu.js")).mmlu),
  "mmlu-5shot": async () => erase((await import("./tasks/mmlu.js")).mmlu5),
  gsm8k: async () => erase((await import("./tasks/gsm8k.js")).gsm8k),
  bbh: async () => erase((await import("./tasks/bbh.js")).bbh),
  tydiqa: async () => erase((await import("./tasks/tydiqa.js")).tydiqa),
  "codex-eval": async () => erase((await import("./tasks/codex-eval.js")).codexEval),
  mbpp: async () => erase((await import("./tasks/mbpp.js")).mbpp),
  truthfulqa: async () => erase((await import("./tasks/truthfulqa.js")).truthfulQa),
  "truthfulqa-mc": async () => erase((await import("./tasks/truthfulqa.js")).truthfulQaMc),
  toxigen: async () => erase((await import("./tasks/toxigen.js")).toxigen),
  "alpaca-eval": async () => erase((await import("./tasks/alpaca-eval.js")).alpacaEval),
  "mt-bench": async () => erase((await import("./tasks/mt-bench.js")).mtBench),
  perplexity: async () => erase((await import("./tasks/perplexity.js")).perplexity),
};

/** Shorter or older names people type. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["humaneval", "codex-eval"],
  ["gsm", "gsm8k"],
  ["tydiqa-goldp", "tydiqa"],
  ["alpacaeval", "alpaca-eval"],
  ["mtbench", "mt-bench"],
  ["ppl", "perplexity"],
]);

/** What `--tasks all` means: the columns of the paper's tables, and MT-Bench. */
export const PAPER_SUITE: readonly string[] = [
  "mmlu",
  "gsm8k",
  "bbh",
  "tydiqa",
  "codex-eval",
  "alpaca-eval",
  "toxigen",
  "truthfulqa",
  "mt-bench",
];

export function taskNames(): string[] {
  return Object.keys(TASKS);
}

/** @throws {SettingsError} ERR_EVAL_TASK for a name that is no task, with the nearest one */
export async function loadTask(name: string): Promise<Task> {
  const load = TASKS[name];
  if (load !== undefined) return load();
  const meant = closest(name, taskNames(), ALIASES);
  throw new SettingsError("ERR_EVAL_TASK", `there is no task "${name}".`, {
    where: "--tasks",
    fix: `${meant === undefined ? "" : `did you mean "${meant}"? `}Tasks: ${taskNames().join(", ")}.`,
  });
}

/** The runner hands a task only the items that the task itself made; their type is its own business. */
function erase<Item extends TaskItem>(task: Task<Item>): Task {
  return task as unknown as Task;
}
