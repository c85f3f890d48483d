import { leaves } from "./diff.js";
import { originText } from "./origin.js";
import type { Resolved } from "./resolve.js";

/**
 * The effective settings as an aligned table with the origin of each value, for the start of a run:
 *
 *     learningRate     2e-5                   --learning-rate
 *     maxSeqLen        4096                   file run.yaml:3
 */
export function formatSettings({ settings, origins }: Resolved<object>, width = 80): string {
  const rows = [...leaves(settings)].map(([key, value]) => {
    const origin = origins[key] ?? { source: "default" as const };
    return {
      key,
      value: valueText(value),
      origin: originText(origin),
      isDefault: origin.source === "default",
    };
  });
  // What someone chose comes first; defaults follow.
  rows.sort((a, b) => Number(a.isDefault) - Number(b.isDefault));
  const keyWidth = Math.max(...rows.map(({ key }) => key.length));
  const originWidth = Math.max(...rows.map(({ origin }) => origin.length));
  const valueWidth = Math.max(16, width - keyWidth - Math.min(originWidth, 28) - 6);
  return rows
    .map(({ key, value, origin }) => {
      const short = value.length <= valueWidth ? value : `${value.slice(0, valueWidth - 3)}...`;
      return `  ${key.padEnd(keyWidth)}  ${short.padEnd(valueWidth)}  ${origin}`;
    })
    .join("\n");
}

/** A value as it would be typed on the command line. */
export function valueText(value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value)) return value.map(valueText).join(",");
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(); // 2e-5
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
