/**
 * Camelid: adapt open language models, in TypeScript.
 *
 * Every public name, in groups that follow the way of the data. Stage subpaths may come later; a name that is
 * not here is not public.
 */

// Errors: what happened, where, how to fix it.
export {
  CamelidError,
  CheckpointError,
  DataError,
  type ErrorDetails,
  InternalError,
  ModelError,
  SettingsError,
  TrainingError,
} from "./errors.js";
// Reports: self-contained HTML.
export { type Html, type HtmlValue, html } from "./report/html.js";
// Runs: what a run writes, and how to read it.
export { writeFileAtomic, writeFolderAtomic } from "./run/atomic-write.js";
export { cacheDirectory } from "./run/cache-directory.js";
export { type NewEvent, type ReadEvent, type RunEvent, readEvent } from "./run/events.js";
export { type Lineage, LineageWriter, readLineage, stepsOfRow } from "./run/lineage.js";
export { type RunRecord, readRun } from "./run/read-run.js";
export {
  checkOutputFolder,
  type OpenRunOptions,
  openRun,
  type Run,
  readRunSettings,
} from "./run/run-directory.js";
// Settings: one schema per recipe; preset, file, --set and flags pass through it.
export { type SettingsDifference, settingsDifferences } from "./settings/diff.js";
export { settingsMarkdown } from "./settings/docs-table.js";
export { type Knob, type KnobMeta, knob, settingsShape } from "./settings/knob.js";
export { knobs, loraKnobs } from "./settings/knobs.js";
export { type Layer, readSettingsFile } from "./settings/layers.js";
export { type Origin, originText } from "./settings/origin.js";
export { formatSettings } from "./settings/print.js";
export type { Preset, Presets, Recipe, RecipeContext, RunOutcome } from "./settings/recipe.js";
export { type Resolved, type ResolveOptions, resolveSettings } from "./settings/resolve.js";
