import { join } from "node:path";
import { Command } from "commander";
import { exportTensorboard } from "../../export/tensorboard.js";
import { readRun } from "../../run/read-run.js";

export function command(): Command {
  return new Command("export-tensorboard")
    .description(
      "Writes what a run recorded as TensorBoard event files: losses, rates, held-out loss, samples, settings. The run may be going on; exporting again brings the file up to date.",
    )
    .argument("<run>", "run folder")
    .option("--out <folder>", "where to write; default: tensorboard/ in the run folder")
    .action(async (folder: string, { out }: { out?: string }) => {
      const written = exportTensorboard(await readRun(folder), out ?? join(folder, "tensorboard"));
      process.stdout.write(`${written}\nlook at it with \`tensorboard --logdir ${out ?? folder}\`\n`);
    });
}
