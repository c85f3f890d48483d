import { modelFolder, parseHubName } from "../run/hub-names.js";
import { type OutputMode, Progress } from "../run/progress.js";

/** Settings that name a model: a folder, or `org/name[@revision]` on a hub. */
const MODEL_KEYS = ["model", "tokenizer"] as const;

/**
 * Fetches what settings name on a hub, before anything looks for a folder.
 * @returns the settings with every such name pinned to its commit, so that a record of them says what was used
 */
export async function fetchNamedModels<T extends Readonly<Record<string, unknown>>>(
  settings: T,
  options: { mode: OutputMode; signal?: AbortSignal },
): Promise<T> {
  const pinned: Record<string, string> = {};
  for (const key of MODEL_KEYS) {
    const name = settings[key];
    if (typeof name === "string") pinned[key] = await fetchWithProgress(name, options);
  }
  return { ...settings, ...pinned };
}

/** `fetchModel` with a line that shows megabytes. A model that is on this machine is not mentioned. */
export async function fetchWithProgress(
  name: string,
  { mode, signal }: { mode: OutputMode; signal?: AbortSignal },
): Promise<string> {
  // Loads the engine: a command that never comes here does without.
  const { fetchModel } = await import("../adapters/fetch-model.js");
  let progress: Progress | undefined;
  try {
    const pinned = await fetchModel(name, {
      ...(signal === undefined ? {} : { signal }),
      onProgress: ({ file, doneBytes, totalBytes }) => {
        progress ??= new Progress({ label: "fetch", unit: "MB", total: Math.ceil(totalBytes / 1e6), mode });
        progress.update(
          doneBytes === totalBytes ? Math.ceil(totalBytes / 1e6) : Math.floor(doneBytes / 1e6),
          {
            file,
          },
        );
      },
    });
    progress?.end();
    if (parseHubName(name) !== undefined && pinned !== name)
      progress?.print(`model   ${pinned} in ${modelFolder(pinned)}`);
    return pinned;
  } finally {
    progress?.end();
  }
}
