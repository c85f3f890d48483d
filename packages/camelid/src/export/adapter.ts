/** An adapter folder in PEFT's layout, with tokenizer and chat template beside it, that names its base in a way that holds. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAdapter, readAdapterConfig, saveAdapter } from "../adapters/adapter-file.js";
import { adaptersOf } from "../adapters/lora.js";
import { SettingsError } from "../errors.js";
import { loadModel } from "../model/load.js";
import { loadTokenizer } from "../tokenizer/tokenizer.js";
import { checkFixtures, type FixtureResult, makeFixtures } from "./fixtures.js";
import { writeFixtures } from "./merged.js";
import { type ExportSource, loadSource } from "./source.js";

/**
 * @param baseName what to write as the base's name; its place on this machine, or its name on the hub, when left out
 * @throws {SettingsError} `ERR_EXPORT_NO_ADAPTER` when the source is a whole model
 */
export async function writeAdapter(
  folder: string,
  source: ExportSource,
  baseName: string | undefined,
): Promise<FixtureResult> {
  const { base } = source;
  if (base === undefined) {
    throw new SettingsError(
      "ERR_EXPORT_NO_ADAPTER",
      "this is a whole model: there is no adapter to export.",
      {
        where: source.folder,
        fix: "export with --to merged or --to gguf, or name an adapter folder.",
      },
    );
  }
  using model = loadSource(source, undefined);
  const fixtures = await makeFixtures(model, source.tokenizer);
  for (const [name, bytes] of source.companions) writeFileSync(join(folder, name), bytes);
  const { baseSha256: sha256, quantize = null } = readAdapterConfig(source.folder);
  saveAdapter(adaptersOf(model)[0]!, folder, { model: baseName ?? base, sha256, quantize });
  writeFixtures(folder, fixtures);
  using reloaded = loadModel(base, { quantize });
  loadAdapter(reloaded, folder);
  return await checkFixtures(fixtures, reloaded, await loadTokenizer(folder), 0);
}
