/** What tasks about code share: where programs run, how samples become pass@k, what the item browser says. */
import { SettingsError } from "../../errors.js";
import { meanValue } from "../metrics.js";
import { openSandbox, type Sandbox } from "../sandbox/sandbox.js";
import type { Program, ProgramVerdict } from "../sandbox/verdict.js";
import type { Grade, Graded, TaskContext } from "../task.js";

/** One sandbox per evaluation; its threads end by themselves when there is nothing to run. */
const SANDBOXES = new WeakMap<TaskContext, Promise<Sandbox>>();

function sandboxOf(context: TaskContext): Promise<Sandbox> {
  let sandbox = SANDBOXES.get(context);
  if (sandbox === undefined) {
    sandbox = openSandbox({
      parallel: numberOption(context, "parallel", context.concurrency),
      timeLimitMs: 1000 * numberOption(context, "timeLimit", 10),
      memoryBytes: 2 ** 20 * numberOption(context, "memoryMiB", 512),
    });
    SANDBOXES.set(context, sandbox);
  }
  return sandbox;
}

/**
 * Runs every sample of an item.
 * @param k score = pass@k; with fewer samples than `k` it is pass@n, which the note says
 */
export async function gradePrograms(
  programs: readonly Program[],
  k: number,
  context: TaskContext,
): Promise<Grade> {
  if (programs.length === 0) {
    return { verdict: "failed", score: 0, extracted: null, note: "there is no sample to run" };
  }
  const sandbox = await sandboxOf(context);
  const verdicts = await Promise.all(programs.map((program) => sandbox.run(program)));
  const n = verdicts.length;
  const passed = verdicts.filter(({ outcome }) => outcome === "passed").length;
  const values: Record<string, number> = { "pass@1": passAtK(n, passed, 1) };
  if (n >= 10) values["pass@10"] = passAtK(n, passed, 10);
  return {
    verdict: passed > 0 ? "right" : "wrong",
    score: passAtK(n, passed, Math.min(k, n)),
    extracted: programs[0]!.program,
    values,
    note: describe(verdicts),
    details: verdicts.map(({ outcome, detail, output, seconds }) => ({
      outcome,
      ...(detail === "" ? {} : { detail }),
      ...(output === "" ? {} : { output: output.slice(0, 500) }),
      seconds: Math.round(seconds * 1000) / 1000,
    })),
  };
}

/**
 * Unbiased estimate of the chance that one of `k` samples passes, from `n` samples of which `c` passed:
 * 1 - C(n-c, k) / C(n, k), as a product (Chen et al. 2021, https://arxiv.org/abs/2107.03374).
 */
export function passAtK(n: number, c: number, k: number): number {
  if (k > n) throw new RangeError(`pass@${k} needs ${k} samples, there are ${n}`);
  if (n - c < k) return 1;
  let noneOfThem = 1;
  for (let i = n - c + 1; i <= n; i++) noneOfThem *= 1 - k / i;
  return 1 - noneOfThem;
}

/** `3 of 20 passed; failed 12 (AssertionError), timeout 5`. */
function describe(verdicts: readonly ProgramVerdict[]): string {
  const kinds = new Map<string, { count: number; detail: string }>();
  for (const { outcome, detail } of verdicts) {
    if (outcome === "passed") continue;
    const kind = kinds.get(outcome);
    if (kind === undefined) kinds.set(outcome, { count: 1, detail });
    else kind.count++;
  }
  const passed = verdicts.filter(({ outcome }) => outcome === "passed").length;
  const rest = [...kinds].map(([outcome, { count, detail }]) =>
    verdicts.length === 1 ? `${outcome}: ${detail}` : `${outcome} ${count} (${detail})`,
  );
  if (verdicts.length === 1) return rest[0] ?? "passed";
  return [`${passed} of ${verdicts.length} passed`, ...rest].join("; ");
}

/** pass@1 and, where enough was sampled, pass@10, in percent. */
export function passMetrics(graded: readonly Graded[]): Record<string, number> {
  const names = ["pass@1", "pass@10"];
  return Object.fromEntries(
    names.map((name) => [name, 100 * meanValue(graded, name)]).filter(([, value]) => !Number.isNaN(value)),
  );
}

/** The fenced block of an answer that holds `wanted`, else its first one, else undefined. */
export function codeBlock(answer: string, wanted: string): string | undefined {
  const blocks = [...answer.matchAll(/^[ \t]*```[^\n]*\n([\s\S]*?)(?:^[ \t]*```|(?![\s\S]))/gm)].map(
    ([, code]) => code!,
  );
  return blocks.find((code) => code.includes(wanted)) ?? blocks[0];
}

/** @throws {SettingsError} ERR_EVAL_OPTION when the option is no positive number */
export function numberOption(context: TaskContext, name: string, usual: number): number {
  const text = context.settings[name];
  if (text === undefined) return usual;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new SettingsError("ERR_EVAL_OPTION", `the option ${name} is "${text}", not a number.`, {
    where: "--options",
    fix: `leave it out for ${usual}, or give a number of 0 or more.`,
  });
}
