/** What every part of the server shares: the roots, and a few things that are costly to make twice. */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import type { Catalog } from "./api.js";
import { readCatalog } from "./catalog.js";
import { NotFound } from "./failures.js";
import type { Roots } from "./roots.js";
import { Keep, KeepPromises } from "./rows/keep.js";
import { openRowFile, type RowFile } from "./rows/row-file.js";
import { RunLog } from "./runs/run-log.js";

/** The first part of a long run is shown after so long. */
const FIRST_LOOK_MS = 120;

export class StudioContext {
  readonly #tokenizers = new KeepPromises<Tokenizer>(8);
  readonly #rowFiles = new KeepPromises<RowFile>(12);
  readonly #bytes = new KeepPromises<Buffer>(2);
  readonly #logs = new Keep<RunLog>(40);
  #catalog: { until: number; catalog: Catalog } | undefined;

  constructor(readonly roots: Roots) {}

  /** A second old at most, older where looking takes long: many folders must not keep the server busy with itself. */
  catalog(): Catalog {
    const started = performance.now();
    if (this.#catalog === undefined || started > this.#catalog.until) {
      const catalog = readCatalog(this.roots);
      const now = performance.now();
      this.#catalog = { until: now + Math.min(10_000, Math.max(1000, 20 * (now - started))), catalog };
    }
    return this.#catalog.catalog;
  }

  /** Something just changed: the next question looks again. */
  forget(): void {
    this.#catalog = undefined;
  }

  /** @throws {NotFound} */
  folder(id: string): string {
    const path = this.roots.pathOf(id);
    if (path !== undefined && statSync(path).isDirectory()) return path;
    throw new NotFound(`there is no "${id}" in the folders that the Studio was opened on.`);
  }

  /** @throws {NotFound} */
  file(id: string): string {
    const path = this.roots.pathOf(id);
    if (path !== undefined && statSync(path).isFile()) return path;
    throw new NotFound(`there is no "${id}" in the folders that the Studio was opened on.`);
  }

  /** A file of a folder, unless a symbolic link leads it out of the roots. */
  fileIn(folder: string, ...names: string[]): string | undefined {
    return this.roots.inside(join(folder, ...names));
  }

  /** @param budgetMs how long to read before the rest is read in the background */
  log(folder: string, budgetMs = FIRST_LOOK_MS): RunLog {
    const path = this.fileIn(folder, "events.jsonl") ?? join(folder, "events.jsonl.missing");
    const log = this.#logs.get(path, () => new RunLog(path));
    // What is being read in the background already is shown as far as it is.
    if (!log.isCatchingUp) log.update(budgetMs);
    log.catchUp();
    return log;
  }

  /** The bytes of a file that is searched again and again: the lineage of a run that is looked at. */
  bytes(path: string): Promise<Buffer> {
    const { size, mtimeMs } = statSync(path);
    const key = `${path} ${size} ${mtimeMs}`;
    return this.#bytes.get(key, () => readFile(path));
  }

  tokenizer(folder: string): Promise<Tokenizer> {
    return this.#tokenizers.get(folder, () => loadTokenizer(folder));
  }

  rowFile(path: string): Promise<RowFile> {
    const { size, mtimeMs } = statSync(path);
    const key = `${path} ${size} ${mtimeMs}`;
    return this.#rowFiles.get(key, () => openRowFile(path));
  }

  /**
   * A path as a run's settings have it. Relative ones meant the folder that the command ran in, which may be this one, a
   * root, or a folder above the run.
   */
  locate(text: string, near: string): string | undefined {
    if (isAbsolute(text)) return exists(text) ? text : undefined;
    const starts = [process.cwd(), ...this.roots.roots.flatMap(({ path }) => [path, dirname(path)])];
    for (let folder = near; folder !== dirname(folder); folder = dirname(folder)) starts.push(folder);
    return starts.map((start) => resolve(start, text)).find(exists);
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
