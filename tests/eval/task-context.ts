/** What a task is told, for tests of tasks. */
import { DataFolder } from "../../packages/camelid/src/eval/data-folder.js";
import type { Task, TaskContext, TaskItem } from "../../packages/camelid/src/eval/task.js";

export interface TestContext extends TaskContext {
  /** What the task has remarked. */
  readonly notes: string[];
}

/** Seed 42, a chat model that can score, files of `folder`; `changes` win. */
export function taskContext<Item extends TaskItem>(
  task: Task<Item>,
  folder: string,
  changes: Partial<TaskContext> = {},
): TestContext {
  const notes: string[] = [];
  return {
    profile: "standard",
    data: new DataFolder([folder], task.files),
    chat: true,
    shots: undefined,
    seed: 42,
    tokens: undefined,
    canScore: true,
    concurrency: 2,
    settings: {},
    signal: new AbortController().signal,
    note: (text) => void notes.push(text),
    notes,
    ...changes,
  };
}
