import { type Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { z } from "zod";
import type { StudioContext } from "../context.js";
import { errorBody } from "../failures.js";
import { tokenizerFolder } from "../runs/step.js";
import type { Answerer } from "./answerer.js";

export const Decoding = {
  maxNewTokens: z.int().min(1).max(8192),
  temperature: z.number().min(0).max(5),
  topP: z.number().positive().max(1),
  seed: z.int().min(0),
};

export const Messages = z
  .array(z.strictObject({ role: z.enum(["system", "user", "assistant"]), content: z.string().max(1 << 20) }))
  .min(1)
  .max(400);

const Request_ = z.strictObject({ model: z.string(), messages: Messages, ...Decoding });

/** Chat: one model, one conversation, text as it is written. */
export function answerRoutes(studio: StudioContext, answerer: Answerer): Hono {
  const routes = new Hono();
  routes.post("/", async (context) => {
    const { model, ...request } = Request_.parse(await context.req.json());
    const folder = studio.folder(model);
    const job = { ...request, folder, tokenizer: tokenizerFolder(studio, folder) };
    return lines(context, (signal) => answerer.answer(job, signal));
  });
  return routes;
}

/** Streams objects, one a line; a browser that goes away ends what it asked for. */
export function lines<T extends object>(
  context: Context,
  make: (signal: AbortSignal) => AsyncIterable<T>,
): Response {
  context.header("content-type", "application/x-ndjson; charset=utf-8");
  context.header("x-accel-buffering", "no");
  return stream(context, async (out) => {
    const gone = new AbortController();
    out.onAbort(() => gone.abort());
    try {
      for await (const piece of make(gone.signal)) await out.write(`${JSON.stringify(piece)}\n`);
    } catch (error) {
      await out.write(`${JSON.stringify({ kind: "error", error: errorBody(error) })}\n`);
    }
  });
}
