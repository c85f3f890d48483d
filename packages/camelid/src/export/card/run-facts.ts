/** What a run's folder and the files it names tell of how a model was made. */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { isAdapterFolder } from "../../adapters/adapter-file.js";
import { adapterBase } from "../../adapters/load-adapted.js";
import { hubNameOf, modelFolder, parseHubName } from "../../run/hub-names.js";
import { type RunRecord, readRun } from "../../run/read-run.js";

/** The fields of a mixture's manifest that a card shows. */
const Manifest = z.looseObject({
  format: z.literal(1),
  mixture: z.string(),
  seed: z.number(),
  settings: z.looseObject({}).optional(),
  sources: z.array(
    z.looseObject({
      name: z.string(),
      written: z.number(),
      contaminated: z.number().default(0),
      contacts: z.record(z.string(), z.number()).default({}),
    }),
  ),
  files: z.record(z.string(), z.looseObject({ sha256: z.string().optional(), rows: z.number().optional() })),
});
export type MixtureFacts = z.output<typeof Manifest>;

/** One run: what it started from, what it was trained on, how it went. */
export interface Stage {
  run: RunRecord;
  /** The model it started from: a name on a hub, a folder, or the run before it. */
  base: string;
  /** The mixture that its data file belongs to, where `manifest.json` lies beside it. */
  mixture: MixtureFacts | undefined;
}

/** More than four runs on top of each other are a loop of folders rather than a recipe. */
const MAX_STAGES = 8;

/**
 * The runs that made a model, first one first.
 * @param run folder of the last one
 * @returns the stages, and the name of the model that the first of them started from
 * @throws {CheckpointError} when the folder holds no run
 */
export async function readStages(run: string): Promise<{ stages: Stage[]; origin: string }> {
  const stages: Stage[] = [];
  let at: string | undefined = run;
  let origin = "";
  while (at !== undefined && stages.length < MAX_STAGES) {
    const record = await readRun(at);
    origin = String(record.settings.model ?? "");
    stages.unshift({ run: record, base: origin, mixture: readMixture(record) });
    at = runBehind(origin);
  }
  return { stages, origin: publicName(origin) };
}

/** The run whose result a model folder is. */
function runBehind(model: string): string | undefined {
  const folder = modelFolder(model);
  if (!existsSync(folder)) return undefined;
  const result = isAdapterFolder(folder) ? adapterRun(folder) : folder;
  const parent = dirname(result);
  return basename(result) === "final" && existsSync(join(parent, "settings.json")) ? parent : undefined;
}

function adapterRun(folder: string): string {
  const parent = dirname(folder);
  if (basename(folder) === "final" && existsSync(join(parent, "settings.json"))) return folder;
  return adapterBase(folder);
}

/** A name on the hub as it is; of a path its last part only: the rest is this machine's business. */
function publicName(model: string): string {
  const hub = existsSync(model) ? hubNameOf(model) : parseHubName(model);
  return hub?.id ?? basename(model);
}

function readMixture({ settings }: RunRecord): MixtureFacts | undefined {
  const { data } = settings;
  if (typeof data !== "string") return undefined;
  const path = join(dirname(data), "manifest.json");
  if (!existsSync(path)) return undefined;
  try {
    const manifest = Manifest.parse(JSON.parse(readFileSync(path, "utf8")));
    return basename(data) in manifest.files ? manifest : undefined;
  } catch {
    return undefined; // another program's manifest
  }
}
