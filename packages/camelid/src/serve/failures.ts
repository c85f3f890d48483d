/** Failures in the form that OpenAI's clients know: `{ error: { message, type, param, code } }`. */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CamelidError } from "../errors.js";

/** 499 is nobody's to read: it counts clients that went away. */
type Status = ContentfulStatusCode | 499;

/** A request that gets no answer. */
export class Refusal extends Error {
  readonly status: Status;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: Status,
    code: string,
    message: string,
    { param = null, headers = {} }: { param?: string | null; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
    this.headers = headers;
  }
}

export function errorBody(error: unknown): { status: Status; body: object } {
  const { status, code, message, param } = describe(error);
  return { status, body: { error: { message, type: typeOf(status), param, code } } };
}

/** @param onFailure told of errors that are the server's own: clients learn nothing of them */
export function answerFailure(
  error: unknown,
  context: Context,
  onFailure: (error: unknown) => void = () => {},
): Response {
  const { status, body } = errorBody(error);
  if (error instanceof Refusal)
    for (const [name, value] of Object.entries(error.headers)) context.header(name, value);
  if (isOwn(error)) onFailure(error);
  return context.json(body, status as ContentfulStatusCode);
}

/** Not the client's doing: a bug, or memory that ran out. */
export const isOwn = (error: unknown): boolean => describe(error).code === "internal_error";

function describe(error: unknown): Pick<Refusal, "status" | "code" | "message" | "param"> {
  if (error instanceof Refusal) return error;
  // What our own checks say of a request: a prompt that is too long, roles out of order, numbers that mean nothing.
  if (error instanceof CamelidError && /^ERR_(PROMPT|KV|DECODING|CHAT|RENDER)/.test(error.code)) {
    const fix = error.fix === undefined ? "" : ` ${error.fix}`;
    return { status: 400, code: error.code, message: `${error.message}${fix}`, param: null };
  }
  return {
    status: 500,
    code: "internal_error",
    message: "the server failed; its log says more.",
    param: null,
  };
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
