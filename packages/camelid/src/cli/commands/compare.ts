import { Command } from "commander";
import { type Comparison, compareResults } from "../../eval/compare.js";
import { compareReport } from "../../eval/report/compare-report.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { checkOutputFile } from "../../run/output-file.js";

interface CompareOptions {
  out?: string;
  json?: boolean;
}

export function command(): Command {
  return new Command("compare")
    .description(
      "Compares two evaluations item by item: difference with a 95 % interval (paired bootstrap), and which items flipped.",
    )
    .argument("<first>", "folder that `camelid eval --out` wrote")
    .argument("<second>", "another one")
    .option("--out <file>", "HTML file with the flipped items")
    .option("--json", "print everything as JSON instead")
    .action(async (first: string, second: string, options: CompareOptions) => {
      if (options.out !== undefined) checkOutputFile(options.out, []);
      const comparison = await compareResults(first, second);
      if (options.out !== undefined) writeFileAtomic(options.out, compareReport(comparison));
      process.stdout.write(
        options.json === true ? `${JSON.stringify(comparison)}\n` : compareText(comparison, options.out),
      );
    });
}

function compareText({ a, b, tasks, unmatched }: Comparison, out: string | undefined): string {
  const lines = tasks.flatMap((one) => {
    const [low, high] = one.interval;
    const numbers = `${one.scoreA.toFixed(2)} -> ${one.scoreB.toFixed(2)}  ${signed(one.difference)} [${signed(low)}, ${signed(high)}]`;
    const chance = one.clear ? "clear" : "may be chance";
    const flips = `${one.gained.length} gained, ${one.lost.length} lost of ${one.items}`;
    return [
      `${one.key.padEnd(24)} ${numbers}  ${chance}; ${flips}`,
      ...one.warnings.map((warning) => `  ${warning}`),
      ...(one.onlyA + one.onlyB > 0 ? [`  ${one.onlyA + one.onlyB} items are in one of the two only`] : []),
    ];
  });
  return [
    `first   ${a.model} (${a.folder})`,
    `second  ${b.model} (${b.folder})`,
    ...lines,
    ...(unmatched.length > 0 ? [`in one of the two only: ${unmatched.join(", ")}`] : []),
    ...(out === undefined ? [] : [out]),
    "",
  ].join("\n");
}

const signed = (value: number) => `${value < 0 ? "" : "+"}${value.toFixed(2)}`;
