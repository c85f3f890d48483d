/** A finished folder to a hub, with a model card from the run that made it. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { isAdapterFolder, readAdapterConfig } from "../adapters/adapter-file.js";
import { SettingsError } from "../errors.js";
import { readConfig } from "../model/config.js";
import { parseHubName } from "../run/hub-names.js";
import { type HubEnvironment, hubClient } from "../weights/hub-client.js";
import type { UploadProgress } from "../weights/hub-objects.js";
import { type UploadResult, uploadFiles } from "../weights/hub-upload.js";
import { type LocalFile, localFiles } from "../weights/local-files.js";
import { modelCard } from "./card/model-card.js";
import { openSource } from "./source.js";

export interface PushOptions extends HubEnvironment {
  /** What `camelid export` wrote, a model or adapter folder, or a run's folder (its `final/`). */
  model: string;
  /** `org/name`, or `org/name@branch`. */
  repo: string;
  /** Anyone may see it, if it is made now. */
  public?: boolean;
  /** Folder of the run that made the model, for the card; known by itself for a run's `final/`. */
  run?: string | undefined;
  evals?: readonly string[];
  licence?: string | undefined;
  message?: string | undefined;
  onProgress?: (progress: UploadProgress) => void;
}

export interface PushResult extends UploadResult {
  url: string;
  /** Whether README.md was written from a run, or is the folder's own, or there is none. */
  card: "written" | "own" | "none";
}

/**
 * @throws {SettingsError} `ERR_HUB_TOKEN`, `ERR_PUSH_REPO`, `ERR_PUSH_FOLDER`, `ERR_PUSH_BASE`, before anything is sent
 * @throws as `uploadFiles`
 */
export async function pushModel(options: PushOptions): Promise<PushResult> {
  const hub = hubClient(options);
  if (hub.token === undefined) {
    throw new SettingsError("ERR_HUB_TOKEN", "writing to a hub needs a token, and HF_TOKEN is not set.", {
      where: "environment variable HF_TOKEN",
      fix: "make a token that may write (on Hugging Face: Settings, Access Tokens) and set HF_TOKEN to it.",
    });
  }
  const name = parseHubName(options.repo);
  if (name === undefined) {
    throw new SettingsError("ERR_PUSH_REPO", `"${options.repo}" is not the name of a repository.`, {
      where: "--repo",
      fix: "write org/name, or org/name@branch.",
    });
  }
  const folder = folderOf(options.model);
  const card = await cardOf(folder, options, name.id);
  const scratch = mkdtempSync(join(tmpdir(), "camelid-push-"));
  try {
    const files = await withCard(await localFiles(folder), card, scratch);
    const message = options.message ?? "Upload with camelid";
    const target = { ...name, private: options.public !== true, message };
    const result = await uploadFiles(hub, files, target, options.onProgress);
    const own = existsSync(join(folder, "README.md")) ? "own" : "none";
    return { ...result, url: `${hub.endpoint}/${name.id}`, card: card === undefined ? own : "written" };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @throws {SettingsError} when there is nothing that others could use */
function folderOf(model: string): string {
  const isRun = existsSync(join(model, "settings.json")) && existsSync(join(model, "final"));
  const folder = isRun ? join(model, "final") : model;
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const isModel = names.some((name) => /^(config|adapter_config)\.json$|\.gguf$/.test(name));
  if (!isModel) {
    throw new SettingsError(
      "ERR_PUSH_FOLDER",
      "this folder holds no model: no config.json, adapter or GGUF file.",
      {
        where: folder,
        fix: "give a run's folder, a model folder, or what `camelid export` wrote.",
      },
    );
  }
  if (isAdapterFolder(folder)) {
    const { baseModel = "" } = readAdapterConfig(folder);
    if (isAbsolute(baseModel) || existsSync(baseModel)) {
      throw new SettingsError("ERR_PUSH_BASE", "the adapter names its base by a place on this machine.", {
        where: `${folder}: ${baseModel}`,
        fix: "export it with `camelid export --to adapter --base org/name` and push that.",
      });
    }
  }
  return folder;
}

/** The card, if a run tells of the model: the one given, or the one whose result the folder is. */
async function cardOf(folder: string, options: PushOptions, id: string): Promise<string | undefined> {
  const run = options.run ?? runBehind(folder);
  if (run === undefined) return undefined;
  const { base, folder: result, tokenizer } = await openSource(run);
  const { evals = [], licence } = options;
  return await modelCard({
    name: id,
    config: readConfig(base ?? result).config,
    tokenizer,
    run,
    evals,
    licence,
  });
}

function runBehind(folder: string): string | undefined {
  const parent = dirname(resolve(folder));
  return basename(resolve(folder)) === "final" && existsSync(join(parent, "settings.json"))
    ? parent
    : undefined;
}

async function withCard(files: LocalFile[], card: string | undefined, scratch: string): Promise<LocalFile[]> {
  if (card === undefined) return files;
  writeFileSync(join(scratch, "README.md"), card);
  return [...files.filter(({ path }) => path !== "README.md"), ...(await localFiles(scratch))];
}
