import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.js";
import { AppendFile } from "./append-file.js";
import { isTemporaryName, writeFileAtomic, writeFolderAtomic } from "./atomic-write.js";
import { removeLeftovers, removeOldCheckpoints, setCheckpointAside } from "./checkpoint-folder.js";
import { eventsFormat, type NewEvent } from "./events.js";
import { fileError } from "./file-error.js";
import { toJsonLine } from "./json-numbers.js";
import { LineageWriter } from "./lineage.js";
import { checkWritable } from "./output-file.js";
import { type Replay, UnwrittenRun } from "./replay-run.js";
import type { Run } from "./run.js";
import { lockName, lockRun } from "./run-lock.js";

export interface OpenRunOptions {
  /** The recipe's name: `sft`. */
  recipe: string;
  /** The effective settings. */
  settings: object;
  /** Where each comes from, by dotted key; see `Origin` in settings/origin.ts. */
  origins?: Readonly<Record<string, { source: string; detail?: string }>>;
  /** Continue the run that this folder holds. */
  resume?: boolean;
  /** For `run-start`. */
  totalSteps?: number;
  /** The step of the checkpoint that was loaded; needed with `resume`. */
  resumedFromStep?: number;
  /** What differs from the settings before, each as `key: before -> after`. */
  settingsChanged?: readonly string[];
  environment?: Readonly<Record<string, string | number | boolean>>;
  /** Damaged checkpoints that were passed over: they lose their names, so that the run can write these steps again. */
  setAside?: readonly string[];
  /** Recompute steps of the run that this folder holds; nothing is written. */
  replay?: Replay;
  /** Of several ranks, only the main one writes. */
  world?: { isMain: boolean };
}

/**
 * Creates the folder of a new run, or opens that of a run to be continued, and writes `settings.json` and the
 * `run-start` event. Call it when all input has been checked and loaded: what fails earlier then leaves no trace.
 *
 *     using run = openRun(settings.out, { recipe: "sft", settings, origins: context.origins });
 *     run.log({ event: "step-end", step, ... });
 *     run.end("completed");
 *
 * @throws {CheckpointError} `ERR_RUN_EXISTS`, `ERR_OUT_NOT_EMPTY`, `ERR_OUT_NOT_FOLDER`, `ERR_RUN_NOT_FOUND`
 * @throws {TrainingError} `ERR_NOT_WRITABLE`, `ERR_DISK_FULL`
 */
export function openRun(path: string, options: OpenRunOptions): Run {
  if (options.replay !== undefined) return new UnwrittenRun(path, (event) => options.replay?.onEvent(event));
  return options.world?.isMain === false ? new UnwrittenRun(path) : new RunDirectory(path, options);
}

/** A run being written. Disposing one that was not ended writes `run-end` with status `failed`. */
class RunDirectory implements Run {
  readonly path: string;
  readonly #events: AppendFile;
  /** The first folder of the path that was not there before; undefined when all were. */
  readonly #firstCreated: string | undefined;
  readonly #resumed: boolean;
  readonly #started = Date.now();
  #unlock = (): void => {};
  #lineage: LineageWriter | undefined;
  #step = 0;
  #hasProgress = false;
  #ended = false;

  constructor(path: string, options: OpenRunOptions) {
    this.path = resolve(path);
    this.#resumed = options.resume ?? false;
    if (this.#resumed) checkHoldsRun(this.path);
    else checkOutputFolder(this.path);
    try {
      this.#firstCreated = mkdirSync(this.path, { recursive: true });
      this.#unlock = lockRun(this.path);
      if (this.#resumed) removeLeftovers(this.path);
      for (const checkpoint of options.setAside ?? []) setCheckpointAside(checkpoint);
      writeFileAtomic(join(this.path, "settings.json"), settingsJson(options));
      this.#events = new AppendFile(join(this.path, "events.jsonl"));
    } catch (error) {
      this.#unlock();
      throw fileError(error, this.path);
    }
    this.#step = options.resumedFromStep ?? 0;
    this.log({
      event: "run-start",
      format: eventsFormat,
      recipe: options.recipe,
      ...(options.totalSteps === undefined ? {} : { total_steps: options.totalSteps }),
      ...(options.resumedFromStep === undefined ? {} : { resumed_from_step: options.resumedFromStep }),
      ...(options.settingsChanged?.length ? { settings_changed: [...options.settingsChanged] } : {}),
      ...(options.environment === undefined ? {} : { environment: { ...options.environment } }),
    });
  }

  log(event: NewEvent): void {
    if (event.event === "step-end") this.#step = event.step;
    if (event.event !== "run-start" && event.event !== "warning-raised") this.#hasProgress = true;
    const { event: name, ...fields } = event;
    this.#events.append(toJsonLine({ event: name, time: new Date().toISOString(), ...fields }));
  }

  openLineage(dataFile: string): LineageWriter {
    if (this.#lineage === undefined) {
      this.#lineage = new LineageWriter(join(this.path, "lineage"), dataFile);
      if (this.#resumed) this.#lineage.resumeAfter(this.#step);
    }
    return this.#lineage;
  }

  get finalPath(): string {
    return join(this.path, "final");
  }

  writeFile(name: string, data: string | Uint8Array): string {
    const path = join(this.path, name);
    writeFileAtomic(path, data);
    return path;
  }

  async writeFolder(name: string, fill: (folder: string) => Promise<void> | void): Promise<string> {
    const path = join(this.path, name);
    // After a power cut, no checkpoint may be newer than the record of its own steps.
    this.#sync();
    await writeFolderAtomic(path, fill, { replace: true });
    return path;
  }

  removeOldCheckpoints(keep: number): void {
    removeOldCheckpoints(this.path, keep);
  }

  end(status: "completed" | "interrupted" | "failed", error?: { code?: string; message: string }): void {
    if (this.#ended) return;
    this.#ended = true;
    const details = error === undefined ? {} : { error };
    this.log({
      event: "run-end",
      status,
      step: this.#step,
      duration_ms: Date.now() - this.#started,
      ...details,
    });
    this.#sync();
  }

  #sync(): void {
    this.#events.sync();
    this.#lineage?.sync();
  }

  [Symbol.dispose](): void {
    const failedBeforeAnything = !this.#ended && !this.#hasProgress && !this.#resumed;
    try {
      if (!this.#ended && !failedBeforeAnything) this.end("failed");
    } catch {
      // An error is on its way already, often the very one that keeps this event from being written: a full disk.
    } finally {
      this.#events.close();
      this.#lineage?.close();
      this.#unlock();
    }
    if (failedBeforeAnything) this.#discard();
  }

  /** A run that failed before its first step leaves nothing, so the corrected command may use the same folder. */
  #discard(): void {
    for (const name of ["settings.json", "events.jsonl", "lineage"])
      rmSync(join(this.path, name), { force: true });
    if (this.#firstCreated === undefined) return;
    for (let folder = this.path; readdirSync(folder).length === 0; folder = dirname(folder)) {
      rmdirSync(folder);
      if (folder === resolve(this.#firstCreated)) return;
    }
  }
}

/**
 * Refuses an output folder that holds anything. Commands call it before they load a model, so that a wrong
 * `--out` is told at once; {@link openRun} checks again.
 */
export function checkOutputFolder(path: string): void {
  let names: string[];
  try {
    names = readdirSync(path).filter((name) => !isTemporaryName(name) && name !== lockName);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      checkWritable(path);
      return;
    }
    if (code !== "ENOTDIR") throw fileError(cause, path);
    throw new CheckpointError("ERR_OUT_NOT_FOLDER", "the output path is a file, or leads through one.", {
      where: path,
      fix: "choose another --out.",
      cause,
    });
  }
  if (names.includes("settings.json") || names.includes("events.jsonl")) {
    throw new CheckpointError("ERR_RUN_EXISTS", "the output folder already holds a run.", {
      where: path,
      fix: `choose another --out${names.includes("checkpoints") ? ", or continue that run with --resume" : ""}.`,
    });
  }
  if (names.length > 0) {
    const shown = names.slice(0, 3).join(", ");
    throw new CheckpointError("ERR_OUT_NOT_EMPTY", "the output folder holds other files.", {
      where: `${path}: ${shown}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`,
      fix: "choose another --out; nothing in this folder was touched.",
    });
  }
}

function checkHoldsRun(path: string): void {
  if (statSync(join(path, "settings.json"), { throwIfNoEntry: false })?.isFile()) return;
  throw new CheckpointError("ERR_RUN_NOT_FOUND", "this folder holds no run.", {
    where: join(path, "settings.json"),
    fix: "give the folder that --out named when it began; without --resume a new run is started.",
  });
}

/** Settings first, so that the file can be given to --config as it is; `$provenance` is a note to readers. */
function settingsJson({ recipe, settings, origins = {} }: OpenRunOptions): string {
  return `${JSON.stringify({ ...settings, $provenance: { recipe, origins } }, null, 2)}\n`;
}

/**
 * The settings of a run folder, without the notes.
 * @throws {CheckpointError} `ERR_RUN_NOT_FOUND`, `ERR_SETTINGS_FILE`
 */
export function readRunSettings(path: string): { settings: Record<string, unknown>; provenance: Provenance } {
  checkHoldsRun(path);
  const file = join(path, "settings.json");
  try {
    const { $provenance, ...settings } = SettingsFile.parse(JSON.parse(readFileSync(file, "utf8")));
    return { settings, provenance: ProvenanceNote.parse($provenance) };
  } catch (cause) {
    throw new CheckpointError("ERR_SETTINGS_FILE", "the run's settings are not a valid JSON object.", {
      where: file,
      fix: "restore the file from a copy, or start a new run.",
      cause,
    });
  }
}

const SettingsFile = z.looseObject({ $provenance: z.unknown().optional() });

/** Notes for readers: what is damaged there is left out, and the settings are still good. */
const ProvenanceNote = z
  .object({
    recipe: z.string().catch(""),
    origins: z
      .record(z.string(), z.object({ source: z.string(), detail: z.string().exactOptional() }))
      .catch({}),
  })
  .catch({ recipe: "", origins: {} });

export type Provenance = z.output<typeof ProvenanceNote>;
