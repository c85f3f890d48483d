import type { z } from "zod";
import { type SettingsShape, settingsShape } from "./knob.js";
import { type Layer, layerOrigin } from "./layers.js";
import { type Entry, type Origin, originText, sources } from "./origin.js";
import { type Problem, settingsError, unknownKey } from "./problems.js";
import { readTextValue } from "./text-value.js";
import { problemsOf } from "./zod-problems.js";

/** Settings that passed their schema, and where each value comes from. */
export interface Resolved<T> {
  readonly settings: T;
  /** By dotted key, in the order of the schema. */
  readonly origins: Readonly<Record<string, Origin>>;
}

export interface ResolveOptions {
  /** The command, for messages: `sft`. */
  command: string;
  /** Problems found before, such as unknown flags, to be reported together with the others. */
  problems?: readonly Problem[];
  /** Keys that other commands know. */
  everyKey?: ReadonlySet<string>;
}

/**
 * Merges layers by strength (flag, `--set`, file, preset, checkpoint, then the schema's defaults) and checks the
 * result once. A value replaces what weaker layers say at its key, above it and below it: `lora: null` in a
 * file takes `lora.rank` out of a preset.
 *
 * @throws {SettingsError} with every problem found: unknown keys with a suggestion, wrong and missing values
 */
export function resolveSettings<S extends z.ZodObject>(
  schema: S,
  layers: readonly Layer[],
  { command, problems: earlier = [], everyKey = new Set() }: ResolveOptions,
): Resolved<z.output<S>> {
  const shape = settingsShape(schema);
  const problems: Problem[] = [...earlier];
  const entries = new Map<string, Entry>();
  // Array.sort is stable: of two layers of the same kind the later one wins.
  const weakestFirst = [...layers].sort((a, b) => sources.indexOf(b.source) - sources.indexOf(a.source));
  for (const layer of weakestFirst) {
    for (const found of layerEntries(layer, shape)) {
      if ("value" in found) put(entries, found);
      else problems.push({ ...unknownKey(found.unknown, shape, command, everyKey), where: found.where });
    }
  }
  const parsed = schema.safeParse(toTree(entries));
  if (!parsed.success)
    problems.push(...parsed.error.issues.flatMap((issue) => problemsOf(issue, entries, shape)));
  if (problems.length > 0 || !parsed.success) throw settingsError(dedupe(problems), command, shape);
  return { settings: parsed.data, origins: originsOf(parsed.data, entries, shape) };
}

function* layerEntries(
  layer: Layer,
  shape: SettingsShape,
): Generator<Entry | { unknown: string; where: string }> {
  const known = (key: string) => shape.knobs.has(key) || shape.objects.has(key);
  const lost = (key: string, where = originText(layerOrigin(layer, key))) => ({ unknown: key, where });
  if (layer.source === "set") {
    for (const text of layer.entries) {
      const equals = text.indexOf("=");
      const key = (equals < 0 ? text : text.slice(0, equals)).trim();
      const schema = shape.knobs.get(key)?.schema ?? shape.objects.get(key);
      if (schema === undefined) yield lost(key, `--set ${text}`);
      else
        yield {
          key,
          value: equals < 0 ? undefined : readTextValue(text.slice(equals + 1), schema),
          origin: layerOrigin(layer, key),
        };
    }
  } else if (layer.source === "flag") {
    for (const [key, text] of layer.values) {
      const knob = shape.knobs.get(key);
      if (knob === undefined) yield lost(key);
      else
        yield {
          key,
          value: text === true ? true : readTextValue(text, knob.schema),
          origin: layerOrigin(layer, key, knob.flag),
        };
    }
  } else {
    const walk = function* (
      values: object,
      prefix: string,
    ): Generator<Entry | { unknown: string; where: string }> {
      for (const [name, value] of Object.entries(values)) {
        if (value === undefined) continue;
        const key = prefix + name;
        const group =
          shape.objects.has(key) && typeof value === "object" && value !== null && !Array.isArray(value);
        if (!known(key)) yield lost(key);
        else if (group && Object.keys(value).length > 0) yield* walk(value, `${key}.`);
        else yield { key, value, origin: layerOrigin(layer, key) };
      }
    };
    yield* walk(layer.values, "");
  }
}

function put(entries: Map<string, Entry>, entry: Entry): void {
  for (const key of entries.keys()) {
    if (key.startsWith(`${entry.key}.`) || entry.key.startsWith(`${key}.`)) entries.delete(key);
  }
  entries.set(entry.key, entry);
}

/** Only keys of the schema get here, so no key can reach an object's prototype. */
function toTree(entries: ReadonlyMap<string, Entry>): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const { key, value } of entries.values()) {
    const names = key.split(".");
    let node = tree;
    for (const name of names.slice(0, -1)) {
      node[name] ??= {};
      node = node[name] as Record<string, unknown>;
    }
    node[names.at(-1)!] = value;
  }
  return tree;
}

function originsOf(
  settings: object,
  entries: ReadonlyMap<string, Entry>,
  shape: SettingsShape,
): Record<string, Origin> {
  const origins: Record<string, Origin> = {};
  for (const key of [...shape.knobs.keys(), ...shape.objects.keys()]) {
    const value = valueAt(settings, key);
    const whole = shape.objects.has(key);
    // A group that is on is told key by key; one that is off is told once.
    if (value === undefined || (whole && value !== null)) continue;
    origins[key] = entries.get(key)?.origin ?? { source: "default" };
  }
  return origins;
}

/** The value at a dotted key; `undefined` when any part of the way is missing. */
function valueAt(settings: object, key: string): unknown {
  let value: unknown = settings;
  for (const name of key.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function dedupe(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.text} ${problem.where}`, problem])).values()];
}
