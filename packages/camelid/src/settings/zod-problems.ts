import type { z } from "zod";
import type { Knob, SettingsShape } from "./knob.js";
import { type Entry, originText } from "./origin.js";
import { excerpt, type Problem } from "./problems.js";
import { closest } from "./suggest.js";

/** Says what zod found in the words of the knob it concerns, and where the value came from. */
export function problemsOf(
  issue: z.core.$ZodIssue,
  entries: ReadonlyMap<string, Entry>,
  shape: SettingsShape,
): Problem[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    // Strict groups inside a union: the key exists, but not for the chosen alternative.
    return issue.keys.map((name) => {
      const key = [...path, name].join(".");
      return {
        code: "ERR_UNKNOWN_KEY",
        key,
        text: `"${key}" does not go with the other settings`,
        where: place(entries.get(key)),
      };
    });
  }
  const knob = knobAt(path, shape);
  const key = knob?.path ?? (path.length === 0 ? "settings" : path.join("."));
  const entry = entries.get(key);
  if (issue.code === "custom" || knob === undefined) {
    return [
      {
        code: "ERR_INVALID_VALUE",
        key,
        text: `${key}: ${issue.message.replace(/\.$/, "")}`,
        where: place(entry),
      },
    ];
  }
  if (entry === undefined) {
    // "Model folder" goes on in a sentence as "model folder"; "JSONL file" stays.
    const meaning = knob.help.replace(/^[A-Z](?![A-Z])/, (letter) => letter.toLowerCase()).replace(/\.$/, "");
    return [
      {
        code: "ERR_MISSING_VALUE",
        key,
        text: `${key} is missing (${meaning})`,
        fix: `give ${knob.flag} <${knob.placeholder}>`,
      },
    ];
  }
  const choice =
    typeof entry.value === "string" && closest(entry.value, (knob.schema.enum ?? []).map(String));
  return [
    {
      code: "ERR_INVALID_VALUE",
      key,
      text: `${key}: expected ${knob.accepts}, got ${excerpt(entry.value)}`,
      where: place(entry),
      fix: choice ? `did you mean "${choice}"?` : undefined,
    },
  ];
}

function place(entry: Entry | undefined): string | undefined {
  return entry && originText(entry.origin);
}

/** An issue may point inside a list: `betas.1` is about the knob `betas`. */
function knobAt(path: readonly string[], shape: SettingsShape): Knob | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const knob = shape.knobs.get(path.slice(0, length).join("."));
    if (knob !== undefined) return knob;
  }
  return undefined;
}
