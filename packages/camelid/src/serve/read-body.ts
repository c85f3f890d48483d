/** A request's body, checked. */
import type { Context } from "hono";
import type { z } from "zod";
import { Refusal } from "./failures.js";

/** @throws {Refusal} 400 when it is no JSON or not what the route takes, 499 when the client went away while sending it */
export async function readBody<T>(context: Context, schema: z.ZodType<T>): Promise<T> {
  const read = schema.safeParse(parse(await textOf(context)));
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw new Refusal(400, "invalid_value", `${path.join(".") || "body"}: ${message}.`, {
    param: path.join(".") || null,
  });
}

async function textOf({ req }: Context): Promise<string> {
  try {
    return await req.text();
  } catch {
    throw new Refusal(499, "client_gone", "the client closed the connection.");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "invalid_json", "the body is not valid JSON.");
  }
}
