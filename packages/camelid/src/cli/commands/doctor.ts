import { Command } from "commander";
import { z } from "zod";
import { SettingsError } from "../../errors.js";
import { type Check, type CheckSection, formatChecks } from "../../run/checks.js";
import { settingsShape } from "../../settings/knob.js";
import { knobs } from "../../settings/knobs.js";
import type { Recipe } from "../../settings/recipe.js";
import { engineChecks } from "../doctor/engine-checks.js";
import { systemChecks } from "../doctor/system-checks.js";
import { fetchNamedModels } from "../fetch-models.js";
import { loadBuiltRecipe } from "../load-recipe.js";
import { addKnobOptions, addSettingsOptions, recipeSettings } from "../settings-options.js";

interface DoctorOptions {
  json?: boolean;
  seconds?: string;
}

/** The settings of `camelid sft` that preflight depends on have flags; all others may come by `--set` or `--config`. */
const flags = settingsShape(
  z.strictObject({
    model: knobs.model.optional(),
    data: knobs.data.optional(),
    onBad: knobs.onBad,
    maxSeqLen: knobs.maxSeqLen,
    microBatchSize: knobs.microBatchSize,
    gradAccumSteps: knobs.gradAccumSteps,
    epochs: knobs.epochs,
    maxSteps: knobs.maxSteps,
    tokenVariant: knobs.tokenVariant,
    specialTokensInContent: knobs.specialTokensInContent,
    learningRate: knobs.learningRate,
    schedule: knobs.schedule,
    warmupRatio: knobs.warmupRatio,
    lossReduction: knobs.lossReduction,
    precision: knobs.precision,
    device: knobs.device,
    threads: knobs.threads,
  }),
);

/** @param loadSft the recipe whose settings preflight takes */
export function command(loadSft: () => Promise<Recipe> = () => loadBuiltRecipe("sft")): Command {
  const doctor = new Command("doctor")
    .description(
      "Checks what Camelid needs on this machine, and says how to get what is missing. With --model and --data also " +
        "what `camelid sft` would check before its first step: rows, template, schedule, weights, batches.",
    )
    .option("--json", "the checks as one JSON object, for programs")
    .option("--seconds <number>", "time that the passes through the model may take [15]");
  addSettingsOptions(doctor, undefined);
  doctor.helpOption("-h, --help", "print this");
  addKnobOptions(doctor, flags);
  return doctor.action(async (options: DoctorOptions, called: Command) => {
    const sections: CheckSection[] = [
      { heading: "System", checks: await systemChecks() },
      { heading: "Engine", checks: await engineChecks() },
    ];
    if (wantsPreflight(called)) {
      const seconds = readSeconds(options.seconds);
      const checks = sections.some(failed) ? [notRun] : await preflightOf(called, await loadSft(), seconds);
      sections.push({ heading: "Preflight", checks });
    }
    const colour = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
    process.stdout.write(
      options.json ? `${JSON.stringify({ sections }, null, 2)}\n` : formatChecks(sections, { colour }),
    );
    process.exitCode = sections.some(failed) ? 1 : 0;
  });
}

/** Any of the settings asks for it; what is missing then is said. */
const wantsPreflight = (called: Command): boolean =>
  Object.keys(called.opts()).some((name) => name !== "json" && name !== "seconds");

async function preflightOf(called: Command, sft: Recipe, seconds: number | undefined): Promise<Check[]> {
  // A run's settings.json names its folder; nothing is written here.
  const settings = sft.settings.extend({ out: knobs.out.default("") });
  const recipe: Recipe = { ...sft, settings };
  const resolved = recipeSettings("doctor", recipe, called, settingsShape(settings));
  // Loads libtorch: only now is it known to load.
  const { preflightOfSettings } = await import("../doctor/preflight-checks.js");
  const fetched = await fetchNamedModels(resolved.settings, { mode: "lines" });
  return preflightOfSettings(fetched as unknown as Parameters<typeof preflightOfSettings>[0], seconds);
}

const failed = ({ checks }: CheckSection): boolean => checks.some(({ status }) => status === "fail");

const notRun: Check = {
  name: "model, data",
  status: "warn",
  detail: "not looked at",
  fix: "put right what failed above first.",
};

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (seconds > 0 && seconds < Number.POSITIVE_INFINITY) return seconds;
  throw new SettingsError("ERR_USAGE", `"${text}" is not a number of seconds.`, {
    where: "--seconds",
    fix: "give a number above 0.",
  });
}
