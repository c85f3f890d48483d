/** Looks through the roots for runs, mixtures, evaluations, models and row files, by what their folders hold. */
import { type Dirent, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Catalog, FileSummary, ModelSummary } from "./api.js";
import { summarizeEval } from "./evals/summary.js";
import { summarizeMix } from "./mixes/summary.js";
import type { Roots } from "./roots.js";
import { firstRowKind } from "./rows/first-row-kind.js";
import { summarizeRun } from "./runs/summary.js";

/** Deep enough for `out/runs/name/checkpoints/step-100`, and no walk through a whole home folder. */
const DEEPEST = 7;
const MOST_FOLDERS = 20_000;
const PASSED_OVER = new Set(["node_modules", "__pycache__", "dist", "build"]);
/** The Studio's own record of votes has messages, and is no data to train on. */
const VOTES = "votes.jsonl";

export function readCatalog(roots: Roots): Catalog {
  const catalog: Catalog = {
    roots: roots.roots.map(({ label, path }) => ({ label, path })),
    ...{ runs: [], mixes: [], evals: [], models: [], files: [], notes: [] },
  };
  let folders = 0;
  const visit = (folder: string, depth: number, run: string | null): void => {
    if (++folders > MOST_FOLDERS) return;
    let entries: Dirent[];
    try {
      entries = readdirSync(folder, { withFileTypes: true });
    } catch {
      return; // not ours to read
    }
    const names = new Set(entries.map(({ name }) => name));
    const id = roots.idOf(folder);
    const kind = kindOf(folder, names);
    // A folder that vanishes or is damaged while it is looked at must not hide the others.
    const add = <T>(list: T[], make: () => T | undefined) => {
      try {
        const one = make();
        if (one !== undefined) list.push(one);
      } catch (error) {
        catalog.notes.push(`${id} was passed over: ${(error as Error).message}`);
      }
    };
    if (kind === "run") add(catalog.runs, () => summarizeRun(folder, id));
    if (kind === "mix") add(catalog.mixes, () => summarizeMix(folder, id));
    if (kind === "eval") add(catalog.evals, () => summarizeEval(folder, id));
    if (kind === "model" || kind === "adapter")
      add(catalog.models, () => modelSummary(folder, id, kind, run));
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        // An evaluation keeps what its models said, to go on from.
        const isKept = kind === "eval" && entry.name === "answers";
        if (depth < DEEPEST && !isKept && !entry.name.startsWith(".") && !PASSED_OVER.has(entry.name))
          visit(path, depth + 1, kind === "run" ? id : run);
      } else if (
        kind === "plain" &&
        entry.isFile() &&
        /\.jsonl(\.gz)?$/.test(entry.name) &&
        !entry.name.startsWith(".") &&
        entry.name !== VOTES
      ) {
        add(catalog.files, () => fileSummary(path, roots.idOf(path)));
      }
    }
  };
  for (const { path } of roots.roots) visit(path, 0, null);
  if (folders > MOST_FOLDERS) {
    catalog.notes.push(
      `Only the first ${MOST_FOLDERS} folders were looked at. Open the Studio on a smaller folder.`,
    );
  }
  catalog.runs.sort((a, b) => (a.changedAt < b.changedAt ? 1 : -1));
  return catalog;
}

function kindOf(
  folder: string,
  names: ReadonlySet<string>,
): "run" | "mix" | "eval" | "model" | "adapter" | "plain" {
  if (names.has("events.jsonl")) return "run";
  if (names.has("adapter_config.json")) return "adapter";
  if (names.has("config.json") && (names.has("tokenizer.json") || names.has("model.safetensors")))
    return "model";
  if (names.has("manifest.json") && names.has("train.jsonl")) return "mix";
  if (names.has("metrics.json")) return "eval";
  // A run that has not written its first event yet.
  if (names.has("settings.json") && /"\$provenance"/.test(read(join(folder, "settings.json")))) return "run";
  return "plain";
}

function modelSummary(
  folder: string,
  id: string,
  kind: "model" | "adapter",
  run: string | null,
): ModelSummary {
  const config = JSON.parse(read(join(folder, kind === "model" ? "config.json" : "adapter_config.json")));
  const base: unknown = config.base_model_name_or_path;
  const inRun = ["final", "checkpoints"].some(
    (part) => id.endsWith(`/${part}`) || dirname(id).endsWith(`/${part}`),
  );
  return {
    ...{ id, kind, run: inRun ? run : null },
    base: kind === "adapter" && typeof base === "string" ? base : null,
    modelType: typeof config.model_type === "string" ? config.model_type : null,
  };
}

function fileSummary(path: string, id: string): FileSummary {
  const { size, mtime } = statSync(path);
  return {
    id,
    kind: path.endsWith(".gz") ? "other" : firstRowKind(path),
    sizeBytes: size,
    changedAt: mtime.toISOString(),
  };
}

function read(path: string): string {
  return statSync(path).size > 4 << 20 ? "" : readFileSync(path, "utf8");
}
