/** Errors on their way to the browser: ours whole, others by their message only. */
import type { Context } from "hono";
import { z } from "zod";
import { CamelidError } from "../errors.js";
import type { ApiError } from "./api.js";

/** Something that is not below the roots, or not there: the two look the same from outside. */
export class NotFound extends Error {}

export function reply(error: unknown, context: Context): Response {
  if (error instanceof NotFound) {
    return context.json({ error: { code: "ERR_STUDIO_NOT_FOUND", message: error.message } }, 404);
  }
  if (error instanceof z.ZodError) {
    const issues = error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
    return context.json({ error: { code: "ERR_STUDIO_REQUEST", message: issues.join("; ") } }, 400);
  }
  if (error instanceof SyntaxError) {
    return context.json({ error: { code: "ERR_STUDIO_REQUEST", message: "the request is not JSON." } }, 400);
  }
  return context.json({ error: errorBody(error) }, error instanceof CamelidError ? 422 : 500);
}

export function errorBody(error: unknown): ApiError["error"] {
  if (!(error instanceof Error)) return { code: "ERR_INTERNAL", message: String(error) };
  // Errors of the engine have the same shape without our base class.
  const { code, where, fix } = error as Partial<CamelidError>;
  return {
    code: typeof code === "string" ? code : "ERR_INTERNAL",
    message: error.message,
    ...(typeof where === "string" ? { where } : {}),
    ...(typeof fix === "string" ? { fix } : {}),
  };
}
