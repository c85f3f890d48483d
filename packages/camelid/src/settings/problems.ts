import { SettingsError } from "../errors.js";
import type { SettingsShape } from "./knob.js";
import { closest } from "./suggest.js";

/** One thing that is wrong with the settings of a command. All of them are collected and reported at once. */
export interface Problem {
  code: "ERR_UNKNOWN_KEY" | "ERR_INVALID_VALUE" | "ERR_MISSING_VALUE" | "ERR_UNEXPECTED_ARGUMENT";
  /** A sentence without its full stop. */
  text: string;
  /** Flag, `--set` entry, or file and line. */
  where?: string | undefined;
  fix?: string | undefined;
  /** The dotted key it is about, where it is about one. */
  key?: string | undefined;
}

/** Wrong settings, with every problem by itself: a form shows each at its field. */
export class WrongSettings extends SettingsError {
  problems: readonly Problem[] = [];
}

/** Makes one error of one or many problems. Its code is that of the problems if they agree, else `ERR_SETTINGS`. */
export function settingsError(
  problems: readonly Problem[],
  command: string,
  shape: SettingsShape,
): WrongSettings {
  const error = oneError(problems, command, shape);
  error.name = "SettingsError"; // a family has one name
  error.problems = problems;
  return error;
}

function oneError(problems: readonly Problem[], command: string, shape: SettingsShape): WrongSettings {
  const codes = new Set(problems.map(({ code }) => code));
  const code = codes.size === 1 ? problems[0]!.code : "ERR_SETTINGS";
  const help = `\`camelid ${command} --help\` explains each.`;
  const accepted = codes.has("ERR_UNKNOWN_KEY")
    ? wrap(`accepted keys: ${[...shape.knobs.keys()].join(", ")}; ${help}`, 70)
    : help;
  if (problems.length === 1) {
    const { text, where, fix } = problems[0]!;
    const separator = codes.has("ERR_UNKNOWN_KEY") ? "\n" : " ";
    return new WrongSettings(code, `${text}.`, {
      ...(where === undefined ? {} : { where }),
      fix: indent(fix === undefined ? accepted : `${fix.replace(/[^.?]$/, "$&.")}${separator}${accepted}`),
    });
  }
  const lines = problems.map(({ text, where, fix }) => {
    const place = where === undefined ? "" : ` (${where})`;
    return `  - ${text}${place}${fix === undefined ? "" : `: ${fix}`}`;
  });
  return new WrongSettings(code, `${problems.length} things are wrong.\n${lines.join("\n")}`, {
    fix: indent(accepted),
  });
}

/** Says that a key is unknown, with the key that was probably meant. */
export function unknownKey(
  key: string,
  shape: SettingsShape,
  command: string,
  everyKey: ReadonlySet<string>,
): Problem {
  const suggestion = closest(key, [...shape.knobs.keys(), ...shape.objects.keys()], shape.aliases);
  // A word that other commands know is not a typing mistake: `beta` given to `sft`.
  const elsewhere = everyKey.has(key);
  return {
    code: "ERR_UNKNOWN_KEY",
    key,
    text: elsewhere
      ? `"${key}" means nothing to \`camelid ${command}\``
      : `"${key}" is not a setting of \`camelid ${command}\``,
    fix: elsewhere ? "remove it" : suggestion === undefined ? undefined : `did you mean "${suggestion}"?`,
  };
}

/** A value as the user wrote it, short enough for one line. */
export function excerpt(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

function indent(text: string): string {
  return text.replaceAll("\n", "\n         ");
}

function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}
