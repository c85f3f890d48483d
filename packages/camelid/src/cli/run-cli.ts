import { Command, CommanderError } from "commander";
import { CamelidError, SettingsError } from "../errors.js";
import { camelidVersion } from "../run/version.js";
import { closest } from "../settings/suggest.js";
import { verbs as allVerbs, type Verb } from "./commands.js";
import { systemError } from "./system-error.js";

/** Exit codes: 0 done, 1 failed, 2 the command or its settings are wrong, 130 interrupted after saving. */
export type ExitCode = 0 | 1 | 2 | 130;

export interface CliStreams {
  out(text: string): void;
  err(text: string): void;
}

const terminal: CliStreams = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};

/**
 * Runs one command line and gives its exit code. Only the module of the verb that was called is loaded.
 *
 * @param words what follows `camelid`
 */
export async function runCli(
  words: readonly string[],
  streams: CliStreams = terminal,
  verbs: readonly Verb[] = allVerbs,
): Promise<ExitCode> {
  process.exitCode = undefined;
  try {
    const program = await buildProgram(words, streams, verbs);
    await program.parseAsync([...words], { from: "user" });
    return (process.exitCode ?? 0) as ExitCode;
  } catch (error) {
    return report(error, words, streams);
  }
}

async function buildProgram(
  words: readonly string[],
  streams: CliStreams,
  verbs: readonly Verb[],
): Promise<Command> {
  const program = new Command("camelid");
  style(program, streams);
  program
    .description("Adapt open language models: mix data, SFT, DPO, evaluate, serve, export.")
    .version(camelidVersion(), "-V, --version", "print the version")
    .usage("<command> [options]")
    .helpOption("-h, --help", "print this, or the help of a command")
    .enablePositionalOptions()
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 wrong command or settings, 130 interrupted.");
  const called = words[0] === "help" ? words[1] : words.find((word) => !word.startsWith("-"));
  for (const verb of verbs) {
    program.commandsGroup(`${verb.group}:`);
    if (verb.name === called) {
      const command = (await (await verb.load()).command()).name(verb.name).summary(verb.summary);
      style(command, streams);
      program.addCommand(command);
    } else program.command(verb.name).summary(verb.summary);
  }
  program.addHelpCommand(
    new Command("help").argument("[command]").description("print the help of a command").helpGroup("Set up:"),
  );
  if (called !== undefined && called !== "help" && !verbs.some(({ name }) => name === called)) {
    throw unknownVerb(called, verbs);
  }
  if (words.length === 0) {
    program.help(); // throws, with exit code 0
  }
  return program;
}

/** 80 columns whatever the terminal; commander throws instead of exiting, and we print its errors. */
function style(command: Command, streams: CliStreams): void {
  // commander breaks no line where flags leave it less than 40 columns, and some of ours are long.
  command.configureHelp({ minWidthToWrap: 24 });
  command.exitOverride().configureOutput({
    writeOut: streams.out,
    writeErr: () => {},
    getOutHelpWidth: () => 80,
    getErrHelpWidth: () => 80,
  });
}

function unknownVerb(word: string, verbs: readonly Verb[]): SettingsError {
  const names = verbs.map(({ name }) => name);
  const suggestion = closest(word, names);
  return new SettingsError("ERR_UNKNOWN_COMMAND", `"${word}" is not a command.`, {
    fix: `${suggestion === undefined ? "" : `did you mean \`camelid ${suggestion}\`? `}commands: ${names.join(", ")}.`,
  });
}

function report(error: unknown, words: readonly string[], { err }: CliStreams): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // --help, --version
    err(`${fromCommander(error, words).format()}\n`);
    return 2;
  }
  const ours = error instanceof CamelidError ? error : systemError(error);
  if (ours !== undefined) {
    err(`${ours.format()}\n`);
    if (process.env.CAMELID_DEBUG) err(`${(error as Error).stack}\n`);
    return ours.exitCode;
  }
  // Errors of the engine have the same shape without our base class: a code, where, fix.
  const { stack, message } = error instanceof Error ? error : new Error(String(error));
  err(`${formatted(error) ?? stack ?? message}\n`);
  return 1;
}

function formatted(error: unknown): string | undefined {
  const { format } = error as { format?: unknown };
  return typeof format === "function" && "code" in (error as object) ? String(format.call(error)) : undefined;
}

/** What commander found wrong, in the form of all our errors. */
function fromCommander(error: CommanderError, words: readonly string[]): SettingsError {
  const verb = words.find((word) => !word.startsWith("-"));
  const said = error.code === "commander.help" ? "say which of its commands" : error.message;
  const message = said.replace(/^error: /, "").replace(/\n\(Did you mean.*\)$/s, "");
  const suggestion = /\(Did you mean (?:one of )?(.*?)\?\)/s.exec(error.message)?.[1];
  const help = `see \`camelid ${verb === undefined ? "" : `${verb} `}--help\`.`;
  return new SettingsError("ERR_USAGE", `${message.replace(/\.$/, "")}.`, {
    fix: suggestion === undefined ? help : `did you mean ${suggestion}? ${help}`,
  });
}
