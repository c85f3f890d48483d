import { excerpt } from "./problems.js";

export interface SettingsDifference {
  key: string;
  before: unknown;
  after: unknown;
}

/** The leaves in which two settings differ, by dotted key; a missing one is `undefined`. Lists count as one value. */
export function settingsDifferences(before: object, after: object): SettingsDifference[] {
  const [left, right] = [leaves(before), leaves(after)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => JSON.stringify(left.get(key)) !== JSON.stringify(right.get(key)))
    .map((key) => ({ key, before: left.get(key), after: right.get(key) }));
}

/** `maxSteps: 100 -> 200`. */
export function differenceText({ key, before, after }: SettingsDifference): string {
  return `${key}: ${excerpt(before)} -> ${excerpt(after)}`;
}

/** Dotted key -> value for everything that is not itself a group. */
export function leaves(settings: object, prefix = ""): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, leaf] of leaves(value, `${prefix}${name}.`)) found.set(key, leaf);
    } else if (value !== undefined) found.set(prefix + name, value);
  }
  return found;
}
