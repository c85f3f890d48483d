/**
 * Checkpoints as files: `checkpoints/step-N/` of a run folder, each with a `manifest.json` that says what the checkpoint is
 * and holds the checksum of every file. What the files mean to training is known in train/checkpoint.ts.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.js";
import { isTemporaryName } from "./atomic-write.js";
import { changedFiles, folderChecksums } from "./folder-checksums.js";

const CHECKPOINTS = "checkpoints";
const MANIFEST = "manifest.json";

const Manifest = z.object({
  /** Raised when a reader of the old number would be wrong about what it reads. */
  format: z.literal(1),
  /** Optimizer steps done. */
  step: z.int().min(0),
  recipe: z.string(),
  settings: z.record(z.string(), z.unknown()),
  /** Versions and machine, as in the `run-start` event. */
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Processes that trained together. */
  world: z.int().positive(),
  /** Rows as the model sees them: after rendering, cutting and leaving out. */
  data: z.object({ file: z.string(), rows: z.int(), sha256: z.string() }),
  /** Place in the endless sequence of shuffled epochs. */
  sampler: z.object({ seed: z.int(), rows_per_step: z.int(), rows_taken: z.int() }),
  files: z.record(z.string(), z.object({ size_bytes: z.int(), sha256: z.string() })),
});

export type CheckpointManifest = z.output<typeof Manifest>;

export interface Checkpoint {
  path: string;
  manifest: CheckpointManifest;
}

/** Checkpoints by name, newest first; whether they are sound is not looked at. */
export function listCheckpoints(run: string): { step: number; path: string }[] {
  const folder = join(run, CHECKPOINTS);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), path: join(folder, name) }];
    })
    .sort((a, b) => b.step - a.step);
}

/** Relative to the run folder. */
export function checkpointName(step: number): string {
  return `${CHECKPOINTS}/step-${step}`;
}

/** The last file of a checkpoint: notes the checksums of all others, and its own. @returns bytes of all files */
export async function writeManifest(
  folder: string,
  facts: Omit<CheckpointManifest, "format" | "files">,
): Promise<number> {
  const files = await folderChecksums(folder);
  const manifest: CheckpointManifest = { format: 1, ...facts, files };
  writeFileSync(
    join(folder, MANIFEST),
    `${JSON.stringify({ ...manifest, checksum: textHash(manifest) }, null, 2)}\n`,
  );
  return Object.values(files).reduce((sum, file) => sum + file.size_bytes, 0);
}

/**
 * Reads a checkpoint's manifest and every byte of its files.
 * @throws {CheckpointError} `ERR_CHECKPOINT_DAMAGED`, naming each file that is missing, cut or altered
 */
export async function verifyCheckpoint(path: string): Promise<Checkpoint> {
  const manifest = readManifest(path);
  const changes = await changedFiles(path, manifest.files);
  if (changes.length > 0) throw damaged(path, changes.join("; "));
  return { path, manifest };
}

/**
 * The newest checkpoint that is complete and unaltered.
 * @param before only those of earlier steps
 * @returns also what is wrong with newer ones that had to be passed over
 */
export async function lastSoundCheckpoint(
  run: string,
  before = Number.POSITIVE_INFINITY,
): Promise<{ checkpoint: Checkpoint | undefined; damaged: CheckpointError[] }> {
  const passedOver: CheckpointError[] = [];
  for (const { step, path } of listCheckpoints(run)) {
    if (step >= before) continue;
    try {
      return { checkpoint: await verifyCheckpoint(path), damaged: passedOver };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      passedOver.push(error);
    }
  }
  return { checkpoint: undefined, damaged: passedOver };
}

/** Removes all but the newest checkpoints. Each loses its name first, so that one half removed is never taken for damaged. */
export function removeOldCheckpoints(run: string, keep: number): void {
  for (const { step, path } of listCheckpoints(run).slice(keep)) {
    const condemned = join(run, CHECKPOINTS, `.step-${step}.${randomBytes(6).toString("hex")}.tmp`);
    renameSync(path, condemned);
    rmSync(condemned, { recursive: true, force: true });
  }
}

/** Gives a damaged checkpoint a name that no reader takes for a checkpoint; it stays for its owner to look at. */
export function setCheckpointAside(path: string): void {
  let aside = `${path}.damaged`;
  for (let n = 2; existsSync(aside); n++) aside = `${path}.damaged-${n}`;
  renameSync(path, aside);
}

/** Removes what a killed process was writing in a run folder. Only one process may write a run. */
export function removeLeftovers(run: string): void {
  for (const folder of [run, join(run, CHECKPOINTS)]) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder))
      if (isTemporaryName(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function readManifest(path: string): CheckpointManifest {
  const file = join(path, MANIFEST);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw damaged(path, `${MANIFEST} is ${missing ? "missing" : "not JSON"}`, cause);
  }
  const parsed = Manifest.safeParse(value);
  if (!parsed.success) {
    const format = (value as { format?: unknown } | null)?.format;
    if (typeof format === "number" && format > 1) {
      throw new CheckpointError(
        "ERR_CHECKPOINT_FORMAT",
        `the checkpoint has format ${format}; this version reads 1.`,
        {
          where: path,
          fix: "use the version of Camelid that wrote it, or a newer one.",
        },
      );
    }
    throw damaged(path, `${MANIFEST} lacks what a manifest holds`);
  }
  if ((value as { checksum?: unknown }).checksum !== textHash(parsed.data))
    throw damaged(path, `${MANIFEST} was altered: its checksum does not fit`);
  return parsed.data;
}

function damaged(path: string, what: string, cause?: unknown): CheckpointError {
  return new CheckpointError("ERR_CHECKPOINT_DAMAGED", `this checkpoint is damaged: ${what}.`, {
    where: path,
    fix: "restore it from a copy, or continue from an earlier one.",
    cause,
  });
}

/** Of the fields in the schema's order, so that it does not depend on how the file is laid out. */
function textHash(manifest: CheckpointManifest): string {
  return createHash("sha256")
    .update(JSON.stringify(Manifest.parse(manifest)))
    .digest("hex");
}
