/** A request's body, checked. */
import type { Context } from "hono";
import type { z } from "zod";
import { Refusal } from "./failures.js";

/**
 * @param maxBytes longest body that is read
 * @throws {Refusal} 400 when it is no JSON or not what the route takes, 413 when it is too long, 415 when it is compressed, 499 when the
 *   client went away while sending it
 */
export async function readBody<T>(context: Context, schema: z.ZodType<T>, maxBytes: number): Promise<T> {
  const read = schema.safeParse(parse(await textOf(context, maxBytes)));
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw new Refusal(400, "invalid_value", `${path.join(".") || "body"}: ${message}.`, {
    param: path.join(".") || null,
  });
}

/** Bytes are counted as they come: a body sent in chunks does not say its length. */
async function textOf({ req }: Context, maxBytes: number): Promise<string> {
  const encoding = req.header("content-encoding") ?? "identity";
  if (encoding !== "identity")
    throw new Refusal(415, "compressed_body", `bodies are not unpacked (${encoding}); send plain JSON.`);
  const length = req.header("content-length");
  if (Number(length ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  try {
    if (length !== undefined) return await req.text(); // Node.js reads no more than was announced
    let size = 0;
    for await (const chunk of req.raw.body ?? []) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(499, "client_gone", "the client closed the connection.");
  }
  return Buffer.concat(chunks).toString("utf8");
}

const tooLarge = (): Refusal =>
  new Refusal(413, "body_too_large", "the body is larger than this server takes.");

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "invalid_json", "the body is not valid JSON.");
  }
}
