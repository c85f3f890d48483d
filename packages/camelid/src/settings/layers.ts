import { readFileSync } from "node:fs";
import { isMap, isPair, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { SettingsError } from "../errors.js";
import type { Origin } from "./origin.js";

/** A set of values from one place. {@link resolveSettings} takes any number of them, in any order. */
export type Layer =
  | { source: "preset"; name: string; values: object }
  | { source: "checkpoint"; path: string; values: object }
  | { source: "file"; path: string; values: object; lines?: ReadonlyMap<string, number> }
  /** Each entry as typed: `key=value`. */
  | { source: "set"; entries: readonly string[] }
  /** Values as typed, by settings key; `true` for a flag without a value. */
  | { source: "flag"; values: ReadonlyMap<string, string | true> };

/** Where the value at `key` of a layer stands, for messages and for `settings.json`. */
export function layerOrigin(layer: Layer, key: string, flag = key): Origin {
  switch (layer.source) {
    case "preset":
      return { source: "preset", detail: layer.name };
    case "checkpoint":
      return { source: "checkpoint", detail: layer.path };
    case "file": {
      const line = layer.lines?.get(key);
      return { source: "file", detail: line === undefined ? layer.path : `${layer.path}:${line}` };
    }
    case "set":
      return { source: "set", detail: `--set ${key}` };
    case "flag":
      return { source: "flag", detail: flag };
  }
}

/**
 * Reads a JSON or YAML settings file. JSON goes through the YAML reader too (YAML 1.2 contains it), so both
 * give line numbers, refuse a key that stands twice, and read `2e-5` as a number.
 * Keys that start with `$` (`$schema`, and what a run's own settings.json adds) are notes, not settings.
 *
 * @throws {SettingsError} `ERR_CONFIG_FILE` when it cannot be read, is not valid, or is not a mapping
 */
export function readSettingsFile(path: string): Extract<Layer, { source: "file" }> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new SettingsError("ERR_CONFIG_FILE", "the settings file cannot be read.", {
      where: path,
      fix: "give --config the path of a .json, .yaml or .yml file.",
      cause,
    });
  }
  const lineCounter = new LineCounter();
  const document = parseDocument(text.replace(/^\uFEFF/, ""), { lineCounter, prettyErrors: false });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) {
    throw new SettingsError(
      "ERR_CONFIG_FILE",
      `the settings file is not valid YAML or JSON: ${firstLine(fault.message)}.`,
      {
        where: `${path} line ${lineCounter.linePos(fault.pos[0]).line}`,
        fix: "correct that line.",
      },
    );
  }
  const values = toPlain(document, path);
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new SettingsError("ERR_CONFIG_FILE", "the settings file holds no `key: value` pairs.", {
      where: path,
      fix: "write one setting a line, for example `learningRate: 2e-5`.",
    });
  }
  const settings = Object.fromEntries(Object.entries(values).filter(([key]) => !key.startsWith("$")));
  return { source: "file", path, values: settings, lines: keyLines(document, lineCounter) };
}

/** Aliases can blow a small file up into gigabytes, and settings need none. */
function toPlain(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.contents === null ? {} : document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw new SettingsError(
      "ERR_CONFIG_FILE",
      "the settings file uses YAML aliases (*name), which are not read.",
      {
        where: path,
        fix: "write the value out.",
        cause,
      },
    );
  }
}

/** Dotted key -> line, for every key of every mapping. */
function keyLines(document: ReturnType<typeof parseDocument>, counter: LineCounter): Map<string, number> {
  const lines = new Map<string, number>();
  visit(document, {
    Pair(_, pair, ancestors) {
      if (!isScalar(pair.key) || !pair.key.range) return;
      const outer = ancestors.flatMap((node) =>
        isPair(node) && isScalar(node.key) ? [String(node.key.value)] : [],
      );
      if (!ancestors.every((node) => isMap(node) || isPair(node) || node === document)) return;
      lines.set([...outer, String(pair.key.value)].join("."), counter.linePos(pair.key.range[0]).line);
    },
  });
  return lines;
}

function firstLine(text: string): string {
  return text.split("\n")[0]!.replace(/[.:]\s*$/, "");
}
