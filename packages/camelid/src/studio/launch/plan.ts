/** Memory and time of a form before it is started: what `camelid plan` says of the same settings. */
import { execFile } from "node:child_process";
import type { LaunchRequest, PlanReply } from "../api.js";
import { shellLine } from "./check.js";

/** Passes of the model's own layers are measured; of a large model that takes a while. */
const LONGEST_MS = 180_000;

/** @param signal of the request: a page that is left ends the measurement */
export async function planLaunch(
  program: readonly [string, ...string[]],
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<PlanReply> {
  const words = planWords(request);
  const [path, ...first] = program;
  const command = shellLine(words);
  return await new Promise((resolve) => {
    const options = { timeout: LONGEST_MS, signal, maxBuffer: 4 << 20 };
    execFile(path, [...first, ...words], options, (error, out, err) => {
      if (error === null) resolve({ failed: false, text: out.trimEnd(), command });
      else if (error.killed) resolve({ failed: true, text: "the measurement took too long.", command });
      else resolve({ failed: true, text: err.trim() || error.message, command });
    });
  });
}

/** The recipe's own settings; where the run would go says nothing about its size. */
function planWords({ recipe, preset, values }: LaunchRequest): string[] {
  const { out: _, model, data, ...set } = values;
  return [
    ...["plan", "--recipe", recipe],
    ...(preset === null ? [] : ["--preset", preset]),
    ...(model === undefined ? [] : ["--model", model]),
    ...(data === undefined ? [] : ["--data", data]),
    ...Object.entries(set).flatMap(([key, value]) => ["--set", `${key}=${value}`]),
  ];
}
