/** Numbers and times as people read them. */
import type { AnyNumber } from "./api.ts";

export function number(value: AnyNumber | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3)
    return value
      .toExponential(Math.max(0, digits - 2))
      .replace("e+", "e")
      .replace(/\.?0+e/, "e");
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(digits)));
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

/** `1 row`, `2 rows`. */
export function plural(many: number, word: string): string {
  return `${count(many)} ${many === 1 ? word : `${word}s`}`;
}

export function compact(value: number): string {
  if (value < 10_000) return count(value);
  return Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function percent(share: number, digits = 1): string {
  if (!Number.isFinite(share)) return "–";
  const shown = (share * 100).toFixed(digits);
  return share > 0 && Number(shown) === 0 ? `<${(10 ** -digits).toFixed(digits)} %` : `${shown} %`;
}

export function bytes(size: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, size)) / 3)));
  return `${(size / 1000 ** power).toFixed(power === 0 || size / 1000 ** power >= 100 ? 0 : 1)} ${units[power]}`;
}

export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `14:03` today, `21 Nov 14:03` before. */
export function moment(iso: string | null): string {
  if (iso === null) return "–";
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** The last part of an id, and what stands before it. */
export function splitId(id: string): { name: string; folder: string } {
  const cut = id.lastIndexOf("/");
  return cut < 0 ? { name: id, folder: "" } : { name: id.slice(cut + 1), folder: id.slice(0, cut) };
}
