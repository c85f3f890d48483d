/** Numbers and words out of a request's query, with bounds. */
import type { Context } from "hono";

export function wholeNumber(
  context: Context,
  name: string,
  fallback: number,
  [least, most]: [number, number],
): number {
  const value = Number(context.req.query(name) ?? fallback);
  return Number.isFinite(value) ? Math.min(most, Math.max(least, Math.round(value))) : fallback;
}

/** The id in the path: everything of it that the router took as one part, decoded. */
export function idOf(context: Context): string {
  return context.req.param("id") ?? "";
}
