/** Lists of words on the command line: `gsm8k.exemplars=FILE`, `judge=URL#model`. */
import { SettingsError } from "../errors.js";
import type { RoleSettings } from "./task.js";

/** @throws {SettingsError} ERR_EVAL_OPTION for words of another form */
export function taskOptions(
  words: readonly string[],
  textFiles: readonly string[],
): Record<string, Record<string, string>> {
  const options: Record<string, Record<string, string>> = {};
  for (const word of words) {
    const [, task, key, value] = /^([\w-]+)\.([\w.-]+)=(.*)$/s.exec(word) ?? [];
    if (task === undefined || key === undefined || value === undefined) {
      throw new SettingsError("ERR_EVAL_OPTION", `"${word}" is no option of a task.`, {
        where: "--options",
        fix: "write task.name=value, such as gsm8k.exemplars=FILE.",
      });
    }
    options[task] = { ...options[task], [key]: value };
  }
  if (textFiles.length > 0) options.perplexity = { ...options.perplexity, text: textFiles.join(",") };
  return options;
}

/** @throws {SettingsError} ERR_EVAL_OPTION */
export function roleSettings(
  words: readonly string[],
): Record<string, Pick<RoleSettings, "endpoint" | "model" | "apiKeyEnv" | "price">> {
  return Object.fromEntries(
    words.map((word) => {
      const [, role, place] = /^([\w-]+)=(.+)$/s.exec(word) ?? [];
      if (role === undefined || place === undefined) {
        throw new SettingsError("ERR_EVAL_OPTION", `"${word}" does not say who answers which role.`, {
          where: "--judges",
          fix: "write role=URL#model, such as judge=https://api.openai.com/v1#gpt-4-0613, or role=folder.",
        });
      }
      if (!/^https?:/.test(place)) return [role, { model: place }];
      const [endpoint, model, apiKeyEnv, price] = place.split("#");
      const prices = price?.split(",").map(Number) ?? [];
      if (price !== undefined && (prices.length !== 2 || !prices.every((one) => one >= 0))) {
        throw new SettingsError("ERR_EVAL_OPTION", `"${price}" are no two prices.`, {
          where: "--judges",
          fix: "write dollars per million tokens in and out, such as judge=URL#model#KEY_VARIABLE#2.5,10.",
        });
      }
      return [
        role,
        {
          endpoint: endpoint!,
          ...(model === undefined ? {} : { model }),
          ...(apiKeyEnv === undefined || apiKeyEnv === "" ? {} : { apiKeyEnv }),
          ...(price === undefined ? {} : { price: [prices[0]!, prices[1]!] as const }),
        },
      ];
    }),
  );
}
