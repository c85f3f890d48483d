import { Command } from "commander";
import { Interrupt } from "../../run/interrupt.js";
import { outputMode, Progress } from "../../run/progress.js";

interface PushFlags {
  model: string;
  repo: string;
  public?: boolean;
  run?: string;
  eval?: string[];
  licence?: string;
  message?: string;
  json?: boolean;
}

export function command(): Command {
  return new Command("push")
    .description(
      "Uploads a model to a hub that speaks the API of Hugging Face (HF_ENDPOINT), in one commit. Files that are there already " +
        "are not sent again, so an interrupted push goes on where it was. The model card is written from the run. The token " +
        "is taken from HF_TOKEN.",
    )
    .requiredOption("--model <folder>", "run, model or adapter folder, or what `camelid export` wrote")
    .requiredOption("--repo <name>", "org/name, or org/name@branch")
    .option("--public", "let everyone see it, if the repository is made now [private]")
    .option("--run <folder>", "run that made the model, for the card; found by itself for a run's result")
    .option("--eval <path>", "results of `camelid eval` for the card; may be repeated", collect)
    .option("--licence <name>", "licence for the head of the card, such as apache-2.0")
    .option("--message <text>", "of the commit [Upload with camelid]")
    .option("--json", "the result as one JSON object, for programs")
    .helpOption("-h, --help", "print this")
    .action(async (flags: PushFlags) => {
      process.exitCode = await push(flags);
    });
}

const collect = (value: string, earlier: string[] = []): string[] => [...earlier, value];

async function push(flags: PushFlags): Promise<0 | 130> {
  const { pushModel } = await import("../../export/push.js");
  const mode = outputMode(flags.json ?? false);
  using interrupt = new Interrupt();
  let progress: Progress | undefined;
  try {
    const result = await pushModel({
      model: flags.model,
      repo: flags.repo,
      public: flags.public ?? false,
      run: flags.run,
      evals: flags.eval ?? [],
      licence: flags.licence,
      message: flags.message,
      signal: interrupt.signal,
      onProgress: ({ file, doneBytes, totalBytes }) => {
        const total = Math.ceil(totalBytes / 1e6);
        progress ??= new Progress({ label: "push", unit: "MB", total, mode });
        progress.update(doneBytes === totalBytes ? total : Math.floor(doneBytes / 1e6), { file });
      },
    });
    progress?.end();
    const { changed, unchanged, url, commit, card, created } = result;
    const said = [
      changed.length === 0
        ? `nothing to send: all ${unchanged} files are there`
        : `sent     ${changed.length} files, ${unchanged} were there already`,
      ...(flags.public && !created
        ? ["note     the repository was there before: who may see it is as it was"]
        : []),
      ...(card === "none"
        ? ["card     none: no run is known; give --run, or put a README.md into the folder"]
        : []),
      `model    ${url} at ${commit}`,
    ];
    process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${said.join("\n")}\n`);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130; // files that have arrived stay; the next push sends the rest
    throw error;
  } finally {
    progress?.end();
  }
}
