/** Quantities in few characters, for tables of a terminal. */

export function size(bytes: number): string {
  if (bytes >= 1e9) return `${group(bytes / 1e9, bytes >= 1e11 ? 0 : 1)} GB`;
  return `${Math.round(bytes / 1e6)} MB`;
}

export function count(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} B`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  return group(value, 0);
}

export function duration(seconds: number): string {
  if (seconds < 1e-4) return `${Math.round(seconds * 1e6)} us`;
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 100 * 3600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${group(seconds / 86400, seconds < 100 * 86400 ? 1 : 0)} days`;
}

export const percent = (share: number): string =>
  `${share < 0.095 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;

/** Of whatever currency the price was given in. */
export const money = (amount: number): string => group(amount, amount < 100 ? 2 : 0);

const group = (value: number, digits: number): string =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
