/** Makes planned runs one after another, through the doors that commands go through; what is finished is not made again. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { METRICS, readMetrics } from "../eval/results-folder.js";
import { writeFileAtomic } from "../run/atomic-write.js";
import type { Planned, PlannedEval, PlannedMix, PlannedTraining } from "./plan.js";

/** Who does the work. Each comes back with `interrupted` when its signal was heard; it may be asked again. */
export interface Doors {
  mix(planned: PlannedMix): Promise<Outcome>;
  /** @param resume the folder holds a run that was stopped */
  train(planned: PlannedTraining, resume: boolean): Promise<Outcome>;
  evaluate(planned: PlannedEval): Promise<Outcome>;
}

type Outcome = "completed" | "interrupted";

export interface Made {
  readonly planned: Planned;
  /** Of this call or of an earlier one. */
  readonly seconds: number;
  readonly again: boolean;
}

/** Written beside a stage's folder when it is finished. */
interface Finished {
  readonly key: string;
  readonly seconds: number;
  readonly at: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** @returns what was made, or undefined when interrupted; called again it goes on */
export async function runStages(
  stages: readonly Planned[],
  doors: Doors,
  say: (text: string) => void,
): Promise<Made[] | undefined> {
  const made: Made[] = [];
  for (const [i, planned] of stages.entries()) {
    const what = `${i + 1} of ${stages.length}  ${planned.does} ${planned.name}`;
    const finished = planned.does === "eval" ? evaluated(planned) : readFinished(planned);
    if (finished !== undefined) {
      say(`\n${what}: is there (${planned.folder})`);
      made.push({ planned, seconds: finished.seconds, again: false });
      continue;
    }
    say(`\n${what}`);
    const started = performance.now();
    if ((await make(planned, doors)) === "interrupted") return undefined;
    const seconds = (performance.now() - started) / 1000;
    if (planned.does !== "eval") writeFinished(planned, seconds);
    made.push({ planned, seconds, again: true });
  }
  return made;
}

function make(planned: Planned, doors: Doors): Promise<Outcome> {
  mkdirSync(dirname(planned.folder), { recursive: true });
  if (planned.does === "eval") return doors.evaluate(planned);
  if (planned.does === "mix") {
    rmSync(planned.folder, { recursive: true, force: true }); // whatever died there
    return doors.mix(planned);
  }
  return doors.train(planned, existsSync(`${planned.folder}/settings.json`));
}

/** An evaluation is its own record. Items that have no verdict (a judge was away) are asked again. */
function evaluated({ folder, tasks }: PlannedEval): { seconds: number } | undefined {
  if (!existsSync(join(folder, METRICS))) return undefined;
  const { tasks: known } = readMetrics(folder);
  const results = tasks.map((name) => known[name]);
  if (!results.every((one) => one !== undefined && one.failed === 0)) return undefined;
  return { seconds: results.reduce((sum, one) => sum + one!.seconds, 0) };
}

const recordOf = ({ folder }: Planned): string => `${folder}.json`;

function readFinished(planned: Planned): Finished | undefined {
  try {
    const finished = JSON.parse(readFileSync(recordOf(planned), "utf8")) as Finished;
    return finished.key === planned.key && existsSync(planned.folder) ? finished : undefined;
  } catch {
    return undefined; // never finished, or the record is damaged: made again
  }
}

function writeFinished(planned: Planned, seconds: number): void {
  const { key, settings } = planned;
  const finished: Finished = { key, seconds, at: new Date().toISOString(), settings };
  writeFileAtomic(recordOf(planned), `${JSON.stringify(finished, null, 2)}\n`);
}
