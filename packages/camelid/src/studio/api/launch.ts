/** A recipe as a form, and what was started with it. */
import type { RowKind } from "./common.js";

/** A recipe as a form: what the command line takes, from the same schema. */
export interface RecipeForm {
  name: string;
  resumable: boolean;
  /** Its memory and time can be told before it runs. */
  plannable: boolean;
  presets: { name: string; values: Record<string, string> }[];
  groups: { name: string; knobs: FormKnob[] }[];
}

export interface FormKnob {
  key: string;
  flag: string;
  help: string;
  accepts: string;
  required: boolean;
  /** As it would be typed; null where there is none. */
  default: string | null;
  input: "text" | "number" | "boolean" | "choice";
  choices: string[];
  /** The key is one of a group that may be off as a whole: `lora`. */
  group: string | null;
}

/** Values as typed; keys left out keep what preset or default say. */
export interface LaunchRequest {
  recipe: string;
  preset: string | null;
  values: Record<string, string>;
  /** Id of a run to go on with; its settings are kept but for `values`. */
  resume: string | null;
}

export interface LaunchCheck {
  problems: { key: string | null; text: string; fix: string | null; missing: boolean }[];
  effective: { key: string; value: string; origin: string }[];
  /** The same on the command line. */
  command: string;
}

/** What `camelid plan` says of a form, or why it says nothing. */
export interface PlanReply {
  failed: boolean;
  text: string;
  command: string;
}

export interface LaunchState {
  id: string;
  command: string;
  out: string;
  /** Id of the run folder, once it is there. */
  run: string | null;
  /** Id of the folder, where it holds an evaluation. */
  evaluation: string | null;
  running: boolean;
  exitCode: number | null;
  log: string;
}

/** What can be chosen in the form, with the paths that the command takes. */
export interface LaunchChoices {
  models: { id: string; path: string }[];
  data: { id: string; path: string; kind: RowKind }[];
  /** Where new runs are suggested. */
  out: string;
}
