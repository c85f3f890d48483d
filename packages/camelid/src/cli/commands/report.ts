import { join } from "node:path";
import { Command } from "commander";
import { runReport } from "../../report/run-report.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { readRun } from "../../run/read-run.js";

export function command(): Command {
  return new Command("report")
    .description("Writes the HTML report of a run. The run may be finished, still going on, or cut off.")
    .argument("<run>", "run folder")
    .option("--out <file>", "where to write it; default: report.html in the run folder")
    .action(async (folder: string, { out }: { out?: string }) => {
      const path = out ?? join(folder, "report.html");
      writeFileAtomic(path, runReport(await readRun(folder)));
      process.stdout.write(`${path}\n`);
    });
}
