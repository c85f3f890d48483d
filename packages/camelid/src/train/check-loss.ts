import { SettingsError } from "../errors.js";
import { type DpoSettings, usesReference } from "./losses/dpo.js";
import { checkReferenceSetting } from "./reference-logps.js";

export interface LossSettings extends DpoSettings {
  reference: string;
  lora: object | null;
}

/** What `targetMargin` is when nobody asked for another. */
const EVEN = 1;

/**
 * Refuses what a preference loss has no place for, instead of passing over it.
 * @throws {SettingsError} `ERR_LOSS_SETTING`; `ERR_REFERENCE_NEEDS_LORA`
 */
export function checkLossSettings(settings: LossSettings): void {
  const { lossType, labelSmoothing, targetMargin, reference } = settings;
  if (lossType === "ipo" && labelSmoothing > 0)
    throw refused("ipo has a target for the margin, not a probability to smooth.", "labelSmoothing", "dpo");
  if (lossType !== "simpo" && targetMargin !== undefined && targetMargin !== EVEN)
    throw refused(
      `${lossType} compares with a reference, not with a target margin.`,
      "targetMargin",
      "simpo",
    );
  if (!usesReference(lossType) && reference !== "stored")
    throw refused(`${lossType} compares with no reference.`, "reference", "dpo");
  checkReferenceSetting(settings);
}

function refused(why: string, key: string, other: string): SettingsError {
  return new SettingsError("ERR_LOSS_SETTING", why, {
    where: `lossType, ${key}`,
    fix: `leave ${key} out, or use lossType ${other}.`,
  });
}
