/** Every source by name. One file per published set; `messages` and user-formats are for people's own files. */
import { SettingsError } from "../../errors.js";
import { codeAlpaca } from "./code-alpaca.js";
import { dolly } from "./dolly.js";
import { cot, flanV2 } from "./flan-v2.js";
import { gpt4Alpaca } from "./gpt4-alpaca.js";
import { hardCoded } from "./hard-coded.js";
import { lima } from "./lima.js";
import { messages } from "./messages.js";
import { oasst1 } from "./oasst1.js";
import { openOrca } from "./open-orca.js";
import { hhRlhf, sharegptPairs, ultrafeedback, votes } from "./preferences.js";
import { science } from "./science.js";
import { sharegpt, sharegptSplit } from "./sharegpt.js";
import type { Source } from "./source.js";
import { cotTable, identityTemplates, p3Prompts } from "./stand-ins.js";
import { alpacaStyle, promptCompletion, sharegptStyle } from "./user-formats.js";
import { wizardlm } from "./wizardlm.js";

export const SOURCES: ReadonlyMap<string, Source> = new Map(
  [
    flanV2,
    cot,
    oasst1,
    lima,
    gpt4Alpaca,
    codeAlpaca,
    sharegpt,
    sharegptSplit,
    wizardlm,
    openOrca,
    science,
    hardCoded,
    dolly,
    messages,
    sharegptStyle,
    alpacaStyle,
    promptCompletion,
    ultrafeedback,
    hhRlhf,
    sharegptPairs,
    votes,
    cotTable,
    p3Prompts,
    identityTemplates,
  ].map((source) => [source.name, source]),
);

/** @throws {SettingsError} listing the names there are */
export function sourceNamed(name: string): Source {
  const source = SOURCES.get(name);
  if (source !== undefined) return source;
  throw new SettingsError("ERR_MIX_SOURCE", `there is no source format "${name}".`, {
    fix: `use one of ${[...SOURCES.keys()].join(", ")}.`,
  });
}
