/** What a run is, seen from outside: its events, and whether a living process holds it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventsFormat } from "../../run/events.js";
import { runHolder } from "../../run/run-lock.js";
import type { RunStatus } from "../api.js";
import type { RunLog } from "./run-log.js";

export function runStatus(
  folder: string,
  log: Pick<RunLog, "start" | "end" | "unknown" | "brokenCount">,
): RunStatus {
  if (log.start !== undefined && log.start.format > eventsFormat) return "newer";
  if (log.end !== undefined) return log.end.status;
  const { kind } = runHolder(folder);
  if (kind === "alive" || kind === "elsewhere") return "running";
  if (log.start !== undefined) return "cut";
  if (log.unknown.size > 0) return "newer";
  if (log.brokenCount > 0) return "broken";
  return existsSync(join(folder, "settings.json")) ? "empty" : "broken";
}
