import { resolve } from "node:path";
import { Command, Option } from "commander";
import { SettingsError } from "../../errors.js";
import type { ExportSummary, ExportTarget } from "../../export/export-model.js";
import { outputMode } from "../../run/progress.js";
import { fetchWithProgress } from "../fetch-models.js";

interface ExportFlags {
  model: string;
  to: "merged" | "gguf" | "adapter";
  out: string;
  type?: "f32" | "f16" | "bf16" | "q8_0";
  dtype?: "float32" | "float16" | "bfloat16";
  base?: string;
  eval?: string[];
  threads?: string;
  json?: boolean;
}

export function command(): Command {
  return new Command("export")
    .description(
      "Writes a trained model in a form that other programs read, together with parity fixtures (conversations, their ids, the " +
        "highest logits after them), reads it back and compares. What fails is not written.",
    )
    .requiredOption("--model <name>", "model, adapter or run folder, or org/name on a hub")
    .addOption(
      new Option("--to <form>", "what to write").choices(["merged", "gguf", "adapter"]).makeOptionMandatory(),
    )
    .requiredOption("--out <folder>", "folder to make")
    .addOption(
      new Option("--type <type>", "numbers in a GGUF file [bf16]").choices(["f32", "f16", "bf16", "q8_0"]),
    )
    .addOption(
      new Option(
        "--dtype <dtype>",
        "convert the weights first; float32 merges adapters without rounding",
      ).choices([...["float32", "float16", "bfloat16"]]),
    )
    .option("--base <name>", "adapter: what to call the base model, such as org/name on a hub")
    .option("--eval <path>", "results of `camelid eval` for the model card; may be repeated", collect)
    .option("--threads <n>", "threads to compute with")
    .option("--json", "the result as one JSON object, for programs")
    .helpOption("-h, --help", "print this")
    .action(async (flags: ExportFlags) => {
      const target = targetOf(flags);
      const model = await fetchWithProgress(flags.model, { mode: outputMode(flags.json ?? false) });
      // Loads the engine: only now is it needed.
      const [torch, { exportModel }] = await Promise.all([
        import("@camelid/torch"),
        import("../../export/export-model.js"),
      ]);
      if (flags.threads !== undefined) torch.setNumThreads(threadsOf(flags.threads));
      const summary = await exportModel({ ...target, model, out: flags.out, evals: flags.eval ?? [] });
      process.stdout.write(flags.json ? `${JSON.stringify(summary)}\n` : describe(summary));
    });
}

/** Flags that mean nothing to the chosen form are refused. */
function targetOf({ to, type, dtype, base }: ExportFlags): ExportTarget {
  const wrong = to === "gguf" ? { base } : to === "merged" ? { type, base } : { type, dtype };
  for (const [flag, value] of Object.entries(wrong)) {
    if (value === undefined) continue;
    throw new SettingsError("ERR_USAGE", `--${flag} means nothing to \`--to ${to}\`.`, {
      where: `--${flag}`,
      fix: "leave it out.",
    });
  }
  switch (to) {
    case "gguf":
      return { to, type: type ?? "bf16", dtype };
    case "merged":
      return { to, dtype };
    case "adapter":
      return { to, baseName: base };
  }
}

const collect = (value: string, earlier: string[] = []): string[] => [...earlier, value];

function threadsOf(text: string): number {
  const threads = Number(text);
  if (Number.isInteger(threads) && threads > 0) return threads;
  throw new SettingsError("ERR_USAGE", `"${text}" is not a number of threads.`, { fix: "give 1 or more." });
}

function describe({ out, check, gguf }: ExportSummary): string {
  const lines = [
    `written  ${resolve(out)}`,
    `checked  ${check.fixtures} conversations: same ids; logits ${apart(check.worst)}; same first token in ${check.sameFirst}`,
  ];
  if (gguf !== undefined) {
    const { file, sizeBytes, exceptions, llamaCpp, contextLength, modelfileHasTemplate } = gguf;
    lines.push(`file     ${file}, ${(sizeBytes / 1e6).toFixed(1)} MB, up to ${contextLength} tokens`);
    if (exceptions.length > 0)
      lines.push(
        `         ${exceptions.length} matrices stay in ${exceptions[0]!.type}: their rows are no multiple of 32`,
      );
    lines.push(
      llamaCpp === undefined
        ? "         llama.cpp itself was not asked: `npm i node-llama-cpp` here, and export again"
        : `         llama.cpp: same ids in ${llamaCpp.sameIds} of ${llamaCpp.asked}; logits ${apart(llamaCpp.worst)}`,
    );
    if (!modelfileHasTemplate)
      lines.push("         Modelfile without TEMPLATE: the chat template is no plain sequence of turns");
  }
  return `${lines.join("\n")}\n`;
}

const apart = (worst: number): string =>
  worst === 0 ? "equal to the last bit" : `at most ${(100 * worst).toPrecision(2)} % of the largest apart`;
