/**
 * Where the raw files of a preset lie under `--sources DIR`: one folder a source, the names they are distributed
 * under. A name is also found with `.gz` at its end.
 */
import { existsSync, readdirSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { SettingsError } from "../../errors.js";
import type { Manifest } from "../mix/manifest.js";
import type { Draw, MixturePart, MixtureSource } from "../mixture.js";

export interface PresetSource extends Omit<MixtureSource, "parts" | "format"> {
  /** Folder under `--sources`; the first is the original's. */
  readonly folders: readonly string[];
  /** Ways to have the source, best first; the first whose files are all there is taken. */
  readonly layouts: readonly Layout[];
  /** Other files that may take its place with `--allow-missing`: name patterns within the folder. */
  readonly standIns?: readonly StandIn[];
}

export interface Layout {
  readonly format: string;
  readonly parts: readonly { readonly files: readonly string[]; readonly draw: Draw }[];
  /** Asked for only if the user gave a tokenizer, where another layout does without. */
  readonly wantsTokenizer?: boolean;
  readonly note?: string;
}

export interface StandIn {
  readonly folder: string;
  readonly files: RegExp;
  readonly format: string;
  readonly draw: Draw;
}

export interface LocatedSources {
  readonly sources: MixtureSource[];
  readonly missing: Manifest["missing"];
}

/**
 * @throws {SettingsError} naming every source that is not there, unless `allowMissing`
 */
export function locateSources(
  presets: readonly PresetSource[],
  directory: string,
  { allowMissing, hasTokenizer }: { allowMissing: boolean; hasTokenizer: boolean },
): LocatedSources {
  if (!existsSync(directory)) {
    throw new SettingsError("ERR_MIX_SOURCES", "the folder of raw sources does not exist.", {
      where: directory,
      fix: "give --sources the folder that holds one folder per source (flan_v2, cot, oasst1, ...).",
    });
  }
  const sources: MixtureSource[] = [];
  const missing: { source: string; looked: string }[] = [];
  for (const preset of presets) {
    const found =
      locate(preset, directory, hasTokenizer) ??
      (allowMissing ? locateStandIn(preset, directory) : undefined);
    if (found !== undefined) sources.push(found);
    else missing.push({ source: preset.name, looked: lookedFor(preset) });
  }
  if (sources.length === 0 || (missing.length > 0 && !allowMissing)) {
    const what = missing.map(({ source, looked }) => `${source} (${looked})`).join("; ");
    throw new SettingsError(
      "ERR_MIX_SOURCE_MISSING",
      `${missing.length} of ${presets.length} sources are not there: ${what}.`,
      {
        where: directory,
        fix:
          sources.length === 0
            ? `the folder holds ${namesIn(directory)}; it should hold one folder per source.`
            : "add the files, or mix what is there with --allow-missing (the manifest will say so).",
      },
    );
  }
  return { sources, missing };
}

function locate(preset: PresetSource, directory: string, hasTokenizer: boolean): MixtureSource | undefined {
  const complete = preset.layouts.flatMap((layout) => {
    for (const folder of preset.folders) {
      const parts = locateParts(layout, join(directory, folder));
      if (parts !== undefined) return [{ layout, parts }];
    }
    return [];
  });
  // Raw conversations are split again when that is possible; the original's split file serves without a tokenizer.
  const best = complete.find(({ layout }) => hasTokenizer || !layout.wantsTokenizer) ?? complete[0];
  return best && toSource(preset, best.layout.format, best.parts, best.layout.note);
}

function locateParts(layout: Layout, folder: string): MixturePart[] | undefined {
  const parts: MixturePart[] = [];
  for (const { files, draw } of layout.parts) {
    const paths = files.map((file) => locateFile(isAbsolute(file) ? file : join(folder, file)));
    if (!paths.every((path) => path !== undefined)) return undefined;
    parts.push({ files: paths, draw });
  }
  return parts;
}

function locateFile(path: string): string | undefined {
  return [path, `${path}.gz`].find((candidate) => existsSync(candidate));
}

function locateStandIn(preset: PresetSource, directory: string): MixtureSource | undefined {
  for (const { folder, files, format, draw } of preset.standIns ?? []) {
    const path = join(directory, folder);
    const names = existsSync(path) ? readdirSync(path).filter((name) => files.test(name)) : [];
    if (names.length === 0) continue;
    names.sort();
    const parts = [{ files: names.map((name) => join(path, name)), draw }];
    const originals = lookedFor(preset);
    return toSource(
      preset,
      format,
      parts,
      `stand-in files (${folder}/${names.length === 1 ? names[0] : `${names.length} files`}) instead of ${originals}`,
    );
  }
  return undefined;
}

function toSource(preset: PresetSource, format: string, parts: MixturePart[], note?: string): MixtureSource {
  const { folders: _folders, layouts: _layouts, standIns: _standIns, ...source } = preset;
  return { ...source, format, parts, ...(note !== undefined && { notes: [...(preset.notes ?? []), note] }) };
}

function lookedFor({ folders, layouts }: PresetSource): string {
  const files = layouts[0]!.parts.flatMap((part) => part.files);
  return `${folders[0]}/${files.length > 3 ? `${files[0]}, ... (${files.length} files)` : files.join(`, ${folders[0]}/`)}`;
}

function namesIn(directory: string): string {
  const names = readdirSync(directory).slice(0, 12);
  return names.length === 0 ? "nothing" : names.join(", ");
}
