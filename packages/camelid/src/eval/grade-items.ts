/** Verdicts on answered items, several at a time. */
import { CamelidError } from "../errors.js";
import type { ItemState } from "./answer-items.js";
import type { ItemRecord } from "./predictions.js";
import type { Grade, Task, TaskContext, TaskItem } from "./task.js";

/**
 * Items whose rounds did not end (the run was interrupted) are left out. What goes wrong with one item is recorded with it;
 * the others go on.
 * @returns in the order of `states`
 */
export async function gradeItems<Item extends TaskItem>(
  task: Task<Item>,
  states: readonly ItemState<Item>[],
  context: TaskContext,
  onGraded: (graded: number) => void = () => {},
): Promise<ItemRecord[]> {
  const records: (ItemRecord | undefined)[] = new Array(states.length).fill(undefined);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < states.length && !context.signal.aborted) {
      const index = next++;
      if (!states[index]!.complete) continue;
      records[index] = await recordOf(task, states[index]!, context);
      onGraded(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, context.concurrency) }, work));
  return records.filter((record) => record !== undefined);
}

async function recordOf<Item extends TaskItem>(
  task: Task<Item>,
  state: ItemState<Item>,
  context: TaskContext,
): Promise<ItemRecord> {
  if (state.refusal !== undefined) {
    const { reason, message } = state.refusal;
    const status = reason === "failed" ? "failed" : "skipped";
    return { state, status, grade: undefined, reason: `${reason}: ${message}` };
  }
  try {
    const grade = await task.grade(state.item, state.answers, context);
    checkGrade(grade, task.name, state.item.id);
    if (grade.verdict !== "failed") return { state, status: "graded", grade, reason: undefined };
    return { state, status: "failed", grade, reason: grade.note ?? "no verdict" };
  } catch (error) {
    if (!(error instanceof CamelidError) || error.code === "ERR_INTERNAL") throw error;
    return { state, status: "failed", grade: undefined, reason: `${error.code}: ${error.message}` };
  }
}

/** A score that is no number would spoil the mean of all. */
function checkGrade(grade: Grade, task: string, id: string): void {
  if (grade.verdict === "failed" || Number.isFinite(grade.score)) return;
  throw new TypeError(`task ${task} gave item ${id} the score ${grade.score}`);
}
