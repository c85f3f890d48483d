import { Command } from "commander";
import { type Check, formatChecks } from "../../run/checks.js";
import { engineChecks } from "../doctor/engine-checks.js";
import { systemChecks } from "../doctor/system-checks.js";

/**
 * Everything that gives checks, in the order shown. The engine's installation, the devices it sees, and the
 * preflight on a user's own model and rows (`--model`, `--data`) are further entries of this list.
 */
const sources: readonly { heading: string; checks(options: DoctorOptions): Promise<Check[]> }[] = [
  { heading: "System", checks: systemChecks },
  { heading: "Engine", checks: () => engineChecks() },
];

export interface DoctorOptions {
  json?: boolean;
}

export function command(): Command {
  return new Command("doctor")
    .description("Checks what Camelid needs on this machine, and says how to get what is missing.")
    .option("--json", "the checks as one JSON object, for programs")
    .action(async (options: DoctorOptions) => {
      const sections: { heading: string; checks: Check[] }[] = [];
      for (const { heading, checks } of sources) sections.push({ heading, checks: await checks(options) });
      process.stdout.write(
        options.json ? `${JSON.stringify({ sections }, null, 2)}\n` : formatChecks(sections),
      );
      const failed = sections.some(({ checks }) => checks.some(({ status }) => status === "fail"));
      process.exitCode = failed ? 1 : 0;
    });
}
