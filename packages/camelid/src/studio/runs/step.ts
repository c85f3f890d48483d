/** One optimizer step: its numbers, and the rows it trained on. */
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { RenderOptions } from "../../data/render.js";
import { rowsOfStepIn } from "../../run/lineage.js";
import { readRunSettings } from "../../run/run-directory.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { RowView, StepDetail, StepRow } from "../api.js";
import type { StudioContext } from "../context.js";
import { NotFound } from "../failures.js";
import type { RowFile } from "../rows/row-file.js";
import { preview, rowView } from "../rows/row-view.js";
import type { RunLog } from "./run-log.js";
import { anyNumber } from "./summary.js";

/** Rows listed of a step; a step of a large batch has more than anyone reads. */
const MOST_ROWS = 256;

/** Reading a tokenizer keeps the server busy for a moment: the page comes first. */
const TOKENIZER_AFTER_MS = 700;

export async function stepDetail(
  studio: StudioContext,
  folder: string,
  log: RunLog,
  step: number,
): Promise<StepDetail> {
  const numbers = [...log.series].flatMap(([name, series]) => {
    const index = series.indexFrom(step);
    return index < series.length && series.step(index) === step
      ? [{ name, value: anyNumber(series.value(index)) }]
      : [];
  });
  const notes: string[] = [];
  const lineage = studio.fileIn(folder, "lineage");
  const places = lineage === undefined ? undefined : rowsOfStepIn(await studio.bytes(lineage), step);
  if (lineage === undefined) notes.push("The run has no lineage: which rows it trained on is not known.");
  else if (places === undefined) notes.push(`The lineage does not have step ${step}.`);
  if (places === undefined) return { step, numbers, rows: [], notes };
  const data = runData(studio, folder);
  if (places.length > MOST_ROWS) notes.push(`The first ${MOST_ROWS} of ${places.length} rows.`);
  if (data.file === undefined) {
    notes.push(data.note!);
    const rows = places
      .slice(0, MOST_ROWS)
      .map(
        (place): StepRow => ({ place, dataset: "", id: "", preview: "", tokens: null, trainedTokens: null }),
      );
    return { step, numbers, rows, notes };
  }
  if (data.note !== undefined) notes.push(data.note);
  const [file, tokenizer] = [
    await studio.rowFile(data.file),
    await runTokenizer(studio, folder).catch(() => undefined),
  ];
  const rows = await Promise.all(
    places.slice(0, MOST_ROWS).map((place) => stepRow(file, place, data.file!, tokenizer, data.options)),
  );
  return { step, numbers, rows, notes };
}

/** Gets what the first step that is looked at needs: it must not wait for a large file to be read. */
export function warmRows(studio: StudioContext, folder: string): void {
  const ignore = () => {}; // said when a step is asked for
  try {
    const { file } = runData(studio, folder);
    if (file !== undefined) studio.rowFile(file).catch(ignore);
    const lineage = studio.fileIn(folder, "lineage");
    if (lineage !== undefined) studio.bytes(lineage).catch(ignore);
    setTimeout(() => runTokenizer(studio, folder).catch(ignore), TOKENIZER_AFTER_MS).unref();
  } catch {
    // A run without readable settings; its page says so.
  }
}

async function stepRow(
  file: RowFile,
  place: number,
  path: string,
  tokenizer: Tokenizer | undefined,
  options: RenderOptions,
): Promise<StepRow> {
  const text = file.text(place);
  if (text === undefined)
    return {
      place,
      dataset: "",
      id: "",
      preview: "the data file has no such row any more",
      tokens: null,
      trainedTokens: null,
    };
  const view = await rowView(text, { file: path, stem: stemOf(path), place }, tokenizer, options);
  const counts = view.sides.map(({ tokens }) => tokens);
  const sum = (pick: (tokens: NonNullable<(typeof counts)[number]>) => number) =>
    counts.length > 0 && counts.every((one) => one !== null)
      ? counts.reduce((total, one) => total + pick(one!), 0)
      : null;
  let record: Record<string, unknown> = {};
  try {
    record = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // Shown as it is.
  }
  return {
    ...{ place, dataset: view.dataset, id: view.id, preview: preview(record) },
    tokens: sum(({ ids }) => ids.length),
    trainedTokens: sum(({ trainedTokens }) => trainedTokens),
  };
}

/** A row of the run's data, as the run rendered it. @throws {NotFound} */
export async function runRow(studio: StudioContext, folder: string, place: number): Promise<RowView> {
  const data = runData(studio, folder);
  if (data.file === undefined) throw new NotFound(data.note!);
  const text = (await studio.rowFile(data.file)).text(place);
  if (text === undefined) throw new NotFound(`the data file has no row ${place + 1} any more.`);
  return await rowView(
    text,
    { file: data.file, stem: stemOf(data.file), place },
    await runTokenizer(studio, folder),
    data.options,
  );
}

export function stemOf(path: string): string {
  return basename(path)
    .replace(/\.gz$/, "")
    .replace(/\.[^.]+$/, "");
}

interface RunData {
  file?: string;
  note?: string;
  options: RenderOptions;
}

function runData(studio: StudioContext, folder: string): RunData {
  const { settings } = readRunSettings(folder);
  const options = renderOptions(settings);
  const named = settings.data;
  if (typeof named !== "string") return { note: "The settings of the run name no data file.", options };
  const found = studio.locate(named, folder);
  if (found === undefined) return { note: `The data file ${named} is not there any more.`, options };
  const file = studio.roots.inside(found);
  if (file === undefined) {
    return {
      note: `The rows are in ${found}, outside the folders that the Studio was opened on. Open it on that folder too: \`camelid studio FOLDER FOLDER\`.`,
      options,
    };
  }
  const started = statSync(folder).birthtimeMs;
  const changed = statSync(file).mtimeMs > started + 1000 && started > 0;
  return {
    file,
    options,
    ...(changed
      ? { note: "The data file was written after the run began: rows may not be those that were trained." }
      : {}),
  };
}

function renderOptions({
  maxSeqLen,
  tokenVariant,
  specialTokensInContent,
}: Record<string, unknown>): RenderOptions {
  return {
    ...(typeof maxSeqLen === "number" ? { maxSeqLen } : {}),
    ...(tokenVariant === "A" || tokenVariant === "B" || tokenVariant === "C" ? { tokenVariant } : {}),
    ...(specialTokensInContent === "text" || specialTokensInContent === "parse"
      ? { specialTokensInContent }
      : {}),
  };
}

/** That of the run's model, which may be an adapter: then its base's. */
async function runTokenizer(studio: StudioContext, folder: string): Promise<Tokenizer> {
  const { settings } = readRunSettings(folder);
  const model = typeof settings.model === "string" ? studio.locate(settings.model, folder) : undefined;
  if (model === undefined)
    throw new NotFound("the model of the run is not there any more, and with it its tokenizer.");
  return await studio.tokenizer(tokenizerFolder(studio, model));
}

export function tokenizerFolder(studio: StudioContext, model: string): string {
  if (statSync(`${model}/tokenizer.json`, { throwIfNoEntry: false }) !== undefined) return model;
  try {
    const { base_model_name_or_path: base } = JSON.parse(
      readFileSync(`${model}/adapter_config.json`, "utf8"),
    );
    return studio.locate(String(base), model) ?? model;
  } catch {
    return model;
  }
}
