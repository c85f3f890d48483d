/** The two routes that generate. */
import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import type { z } from "zod";
import type { Engine } from "../generate/requests.js";
import type { Admission } from "./admission.js";
import { choicePieces, type Piece, wholeChoices } from "./choices.js";
import { errorBody, Refusal } from "./failures.js";
import { chatFormat, type Format, textFormat } from "./formats.js";
import type { Metrics } from "./metrics.js";
import { type Limits, type Plan, planChat, planCompletion } from "./plan-request.js";
import { ChatRequest, CompletionRequest } from "./requests.js";

export interface Service {
  engines: ReadonlyMap<string, Engine>;
  admission: Admission;
  metrics: Metrics;
  limits: Limits;
  /** A request that takes longer is ended; seconds. */
  requestSeconds: number;
  /** Ends everything, when the server is to stop at once. */
  stopping: AbortSignal;
}

export function chatCompletions(service: Service) {
  return (context: Context): Promise<Response> =>
    answer(service, context, ChatRequest, chatFormat, (engine, request) =>
      planChat(engine, request, service.limits),
    );
}

export function completions(service: Service) {
  return (context: Context): Promise<Response> =>
    answer(service, context, CompletionRequest, textFormat, (engine, request) =>
      planCompletion(engine, request, service.limits),
    );
}

async function answer<Request extends ChatRequest | CompletionRequest>(
  service: Service,
  context: Context,
  schema: z.ZodType<Request>,
  format: Format,
  planOf: (engine: Engine, request: Request) => Promise<Plan>,
): Promise<Response> {
  const request = await readBody(context, schema);
  const engine = service.engines.get(request.model);
  if (engine === undefined) {
    const names = [...service.engines.keys()].join(", ");
    throw new Refusal(404, "model_not_found", `there is no model "${request.model}"; here: ${names}.`, {
      param: "model",
    });
  }
  const leave = service.admission.enter();
  try {
    const plan = await planOf(engine, request);
    const signal = AbortSignal.any([
      context.req.raw.signal,
      service.stopping,
      AbortSignal.timeout(service.requestSeconds * 1000),
    ]);
    // A client that is gone before its answer begins never reads it to the end.
    signal.addEventListener("abort", leave, { once: true });
    const head = {
      id: `${format.prefix}-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model,
    };
    const pieces = measured(choicePieces(engine, plan, signal), plan, service.metrics);
    if (!request.stream) {
      const choices = await wholeChoices(pieces);
      if (choices.some(({ finishReason }) => finishReason === "cancelled")) throw cancelled(signal, service);
      leave();
      const whole = choices.map((choice) => format.whole(choice, engine.tokenizer));
      const output = choices.reduce((sum, { tokens }) => sum + tokens, 0);
      return context.json({ ...head, object: format.object, choices: whole, usage: usage(plan, output) });
    }
    const wantsUsage = request.stream_options?.include_usage === true;
    const events = streamEvents(
      { ...head, object: format.chunkObject },
      pieces,
      plan,
      format,
      engine,
      wantsUsage,
      leave,
    );
    context.header("content-type", "text/event-stream; charset=utf-8");
    context.header("cache-control", "no-cache");
    return context.body(ReadableStream.from(events) as ReadableStream<Uint8Array>);
  } catch (error) {
    leave();
    throw error;
  }
}

async function readBody<T>(context: Context, schema: z.ZodType<T>): Promise<T> {
  let body: unknown;
  try {
    body = JSON.parse(await context.req.text());
  } catch {
    throw new Refusal(400, "invalid_json", "the body is not valid JSON.");
  }
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw new Refusal(400, "invalid_value", `${path.join(".") || "body"}: ${message}.`, {
    param: path.join(".") || null,
  });
}

function cancelled(signal: AbortSignal, { stopping, requestSeconds }: Service): Refusal {
  if (stopping.aborted) return new Refusal(503, "server_stopping", "the server is stopping.");
  const isTooLong = (signal.reason as Error | undefined)?.name === "TimeoutError";
  return isTooLong
    ? new Refusal(504, "too_long", `the answer took more than ${requestSeconds} s.`)
    : new Refusal(400, "client_gone", "the client closed the connection.");
}

const encoder = new TextEncoder();
const event = (data: object | "[DONE]"): Uint8Array =>
  encoder.encode(`data: ${data === "[DONE]" ? data : JSON.stringify(data)}\n\n`);

async function* streamEvents(
  head: object,
  pieces: AsyncIterable<Piece>,
  plan: Plan,
  format: Format,
  { tokenizer }: Engine,
  wantsUsage: boolean,
  leave: () => void,
): AsyncGenerator<Uint8Array> {
  const usageField = wantsUsage ? { usage: null } : {};
  const lengths = new Map<number, number>();
  let output = 0;
  try {
    for (const index of Array(plan.prompts.length * plan.n).keys()) {
      const opening = format.opening(index);
      if (opening !== undefined) yield event({ ...head, choices: [opening], ...usageField });
    }
    for await (const piece of pieces) {
      output += piece.tokens;
      const offset = lengths.get(piece.index) ?? 0;
      lengths.set(piece.index, offset + piece.text.length);
      yield event({ ...head, choices: [format.piece(piece, tokenizer, offset)], ...usageField });
    }
    if (wantsUsage) yield event({ ...head, choices: [], usage: usage(plan, output) });
    yield event("[DONE]");
  } catch (error) {
    // The status was sent long ago: the failure is the last event.
    yield event(errorBody(error).body);
  } finally {
    leave();
  }
}

const usage = ({ promptTokens }: Plan, output: number) => ({
  prompt_tokens: promptTokens,
  completion_tokens: output,
  total_tokens: promptTokens + output,
});

async function* measured(pieces: AsyncIterable<Piece>, plan: Plan, metrics: Metrics): AsyncGenerator<Piece> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  let firstTokenSeconds: number | undefined;
  let outputTokens = 0;
  try {
    for await (const piece of pieces) {
      firstTokenSeconds ??= seconds();
      outputTokens += piece.tokens;
      yield piece;
    }
  } finally {
    const whole = seconds();
    metrics.answered({
      promptTokens: plan.promptTokens,
      outputTokens,
      firstTokenSeconds: firstTokenSeconds ?? whole,
      seconds: whole,
    });
  }
}
