/** The two routes that generate. */
import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context } from "hono";
import type { z } from "zod";
import type { Engine } from "../generate/requests.js";
import type { Admission } from "./admission.js";
import { choicePieces, type Piece, wholeChoices } from "./choices.js";
import { EventStream } from "./event-stream.js";
import { errorBody, isOwn, Refusal } from "./failures.js";
import { chatFormat, type Format, textFormat } from "./formats.js";
import { Lifetime } from "./lifetime.js";
import type { Metrics } from "./metrics.js";
import { type Limits, type Plan, planChat, planCompletion } from "./plan-request.js";
import { readBody } from "./read-body.js";
import { ChatRequest, CompletionRequest } from "./requests.js";

export interface Service {
  engines: ReadonlyMap<string, Engine>;
  admission: Admission;
  metrics: Metrics;
  limits: Limits;
  maxBodyBytes: number;
  /** A request that takes longer is ended; seconds. */
  requestSeconds: number;
  /** A client that takes nothing of its stream for so long is given up; seconds. */
  stallSeconds: number;
  /** Ends everything, when the server is to stop at once. */
  stopping: AbortSignal;
  /** Told of failures that are the server's own. */
  onFailure: (error: unknown) => void;
}

type NodeContext = Context<{ Bindings: HttpBindings }>;

export function chatCompletions(service: Service) {
  return (context: NodeContext): Promise<Response> =>
    answer(service, context, ChatRequest, chatFormat, (engine, request) =>
      planChat(engine, request, service.limits),
    );
}

export function completions(service: Service) {
  return (context: NodeContext): Promise<Response> =>
    answer(service, context, CompletionRequest, textFormat, (engine, request) =>
      planCompletion(engine, request, service.limits),
    );
}

async function answer<Request extends ChatRequest | CompletionRequest>(
  service: Service,
  context: NodeContext,
  schema: z.ZodType<Request>,
  format: Format,
  planOf: (engine: Engine, request: Request) => Promise<Plan>,
): Promise<Response> {
  const request = await readBody(context, schema, service.maxBodyBytes);
  const engine = engineOf(service, request.model);
  const leave = service.admission.enter();
  try {
    using life = new Lifetime(context.req.raw.signal, service.stopping, service.requestSeconds);
    const plan = await planOf(engine, request);
    const pieces = measured(choicePieces(engine, plan, life.signal), plan, service.metrics);
    const head = {
      id: `${format.prefix}-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model,
    };
    if (!request.stream)
      return context.json({ ...head, ...(await whole(pieces, plan, format, engine, life)) });
    const events = new EventStream(context.env.outgoing, context.res.headers, life, service.stallSeconds);
    try {
      for await (const data of eventData(head, pieces, plan, format, engine, request, life))
        await events.send(data);
    } catch (error) {
      // The status was sent long ago: the failure is the last event.
      if (isOwn(error)) service.onFailure(error);
      await events.send(JSON.stringify(errorBody(error).body));
    }
    events.end();
    return RESPONSE_ALREADY_SENT;
  } finally {
    leave();
  }
}

function engineOf({ engines }: Service, model: string): Engine {
  const engine = engines.get(model);
  if (engine !== undefined) return engine;
  const names = [...engines.keys()].join(", ");
  throw new Refusal(404, "model_not_found", `there is no model "${model}"; here: ${names}.`, {
    param: "model",
  });
}

async function whole(
  pieces: AsyncIterable<Piece>,
  plan: Plan,
  format: Format,
  { tokenizer }: Engine,
  { signal }: Lifetime,
): Promise<object> {
  const choices = await wholeChoices(pieces);
  if (choices.some(({ finishReason }) => finishReason === "cancelled")) throw signal.reason;
  const output = choices.reduce((sum, { tokens }) => sum + tokens, 0);
  return {
    object: format.object,
    choices: choices.map((choice) => format.whole(choice, tokenizer)),
    usage: usage(plan, output),
  };
}

/** The data of each event of a stream. */
async function* eventData(
  head: object,
  pieces: AsyncIterable<Piece>,
  plan: Plan,
  format: Format,
  { tokenizer }: Engine,
  request: ChatRequest | CompletionRequest,
  { signal }: Lifetime,
): AsyncGenerator<string> {
  const wantsUsage = request.stream_options?.include_usage === true;
  // What is the same in every event is written once.
  const before = `${JSON.stringify({ ...head, object: format.chunkObject }).slice(0, -1)},"choices":[`;
  const after = wantsUsage ? `],"usage":null}` : "]}";
  const lengths = new Map<number, number>();
  let output = 0;
  for (const index of Array(plan.prompts.length * plan.n).keys()) {
    const opening = format.opening(index);
    if (opening !== undefined) yield `${before}${JSON.stringify(opening)}${after}`;
  }
  for await (const piece of pieces) {
    if (piece.finishReason === "cancelled") throw signal.reason;
    output += piece.tokens;
    const offset = lengths.get(piece.index) ?? 0;
    lengths.set(piece.index, offset + piece.text.length);
    yield `${before}${JSON.stringify(format.piece(piece, tokenizer, offset))}${after}`;
  }
  if (wantsUsage) yield `${before}],"usage":${JSON.stringify(usage(plan, output))}}`;
  yield "[DONE]";
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
    metrics.answered({
      promptTokens: plan.promptTokens,
      outputTokens,
      firstTokenSeconds,
      seconds: seconds(),
    });
  }
}
