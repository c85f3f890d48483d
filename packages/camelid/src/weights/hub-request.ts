import { HubError, ModelError } from "../errors.js";

/** Where a hub is, who asks, and how patiently. */
export interface HubClient {
  /** Without a slash at its end. */
  endpoint: string;
  token?: string | undefined;
  /** Ends every request and every wait. */
  signal?: AbortSignal | undefined;
  /** Waits before another try. */
  sleep(milliseconds: number): Promise<void>;
}

/** What a request is about, for error messages. */
export interface HubSubject {
  id: string;
  revision: string;
  /** Whether something is written there; reading is what errors speak of otherwise. */
  writes?: boolean;
}

/**
 * One GET request.
 * @param headers besides those that every request has
 * @returns an answer of status 2xx, or 416
 * @throws {RetryableError} when another try may help
 * @throws {ModelError} when the hub knows no such thing or keeps it to itself
 */
export async function hubGet(
  hub: HubClient,
  path: string,
  subject: HubSubject,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  // Not compressed: ranges and sizes count the bytes of the file. On the way to another host, where large files
  // are, fetch itself leaves the token out.
  return await hubFetch(hub, path, subject, { headers: { ...headers, "accept-encoding": "identity" } });
}

/**
 * One POST request.
 * @returns an answer of status 2xx, or of one that `accept` names
 * @throws as {@link hubGet}
 */
export async function hubPost(
  hub: HubClient,
  path: string,
  subject: HubSubject,
  body: { type: string; text: string; accept?: string },
  accept: readonly number[] = [],
): Promise<Response> {
  const headers = {
    "content-type": body.type,
    ...(body.accept === undefined ? {} : { accept: body.accept }),
  };
  return await hubFetch(hub, path, subject, { method: "POST", headers, body: body.text }, accept);
}

async function hubFetch(
  hub: HubClient,
  path: string,
  subject: HubSubject,
  init: { method?: string; headers: Record<string, string>; body?: string },
  accept: readonly number[] = [416],
): Promise<Response> {
  const { headers } = init;
  if (hub.token !== undefined) headers.authorization = `Bearer ${hub.token}`;
  let response: Response;
  try {
    response = await fetch(`${hub.endpoint}${path}`, { ...init, signal: hub.signal ?? null });
  } catch (error) {
    throw connectionFailure(hub, error);
  }
  if (response.ok || accept.includes(response.status)) return response;
  await response.body?.cancel();
  throw statusError(hub, response, subject);
}

/** The bytes of an answer. @throws {RetryableError} when the connection breaks */
export async function* hubBody(hub: HubClient, response: Response): AsyncGenerator<Uint8Array> {
  try {
    yield* response.body ?? [];
  } catch (error) {
    throw connectionFailure(hub, error);
  }
}

/** Worth another try after a while. */
export class RetryableError extends Error {
  constructor(
    /** What to report when no try is left. */
    readonly failure: HubError,
    readonly waitMs?: number,
  ) {
    super(failure.message);
  }
}

const MAX_TRIES = 5;

/**
 * Runs `attempt` until it succeeds, waiting 1, 2, 4, 8 seconds in between, or as long as the hub says.
 * @param progress counts what has been reached; while it grows, tries are not used up
 */
export async function withRetries<T>(
  hub: HubClient,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  let reached = progress();
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      if (progress() > reached) failures = 1;
      reached = Math.max(reached, progress());
      if (failures >= MAX_TRIES) throw error.failure;
      await hub.sleep(error.waitMs ?? 1000 * 2 ** (failures - 1));
      hub.signal?.throwIfAborted();
    }
  }
}

/** fetch hides the reason of a connection's end in the cause. An interruption by the user stays what it is. */
function connectionFailure(hub: HubClient, error: unknown): unknown {
  if (hub.signal?.aborted) return error;
  const { message, cause } = error as Error & { cause?: NodeJS.ErrnoException };
  const reason = cause?.code ?? cause?.message ?? message;
  const failure = new HubError("ERR_HUB_CONNECTION", `the connection failed (${reason}).`, {
    where: hub.endpoint,
    fix: "check the network and try again: what has been transferred is kept. HF_HUB_OFFLINE=1 uses only what is in the cache.",
    cause: error,
  });
  return new RetryableError(failure);
}

function statusError(
  hub: HubClient,
  { status, statusText, headers }: Response,
  { id, revision, writes = false }: HubSubject,
): Error {
  const where = `${hub.endpoint}, model ${id}, revision ${revision}`;
  const answer = `${status} ${headers.get("x-error-message") ?? statusText}`.trim();
  if (status === 429 || status === 408 || status >= 500) {
    const busy = status === 429 ? "asks to slow down" : "is in trouble";
    const failure = new HubError("ERR_HUB_BUSY", `the hub ${busy} (${answer}).`, {
      where,
      fix: "try again later; what has been transferred is kept. With HF_TOKEN set, more requests are allowed.",
    });
    return new RetryableError(failure, retryAfter(headers.get("retry-after")));
  }
  if (status === 401 || status === 403) {
    const denied = hub.token === undefined ? "no token was sent" : "the token does not allow it";
    const what = writes
      ? "writing to this repository was refused"
      : "the model is private, gated or not there";
    const fix = writes
      ? "check the id; set HF_TOKEN to a token that may write to it."
      : "check the id; accept the model's terms on its page; set HF_TOKEN to a token that may read it.";
    return new ModelError("ERR_HUB_ACCESS", `${what}, and ${denied} (${answer}).`, { where, fix });
  }
  if (status === 404) {
    const missing =
      headers.get("x-error-code") === "RevisionNotFound" ? "revision of this model" : "model or revision";
    return new ModelError("ERR_HUB_NOT_FOUND", `there is no such ${missing} (${answer}).`, {
      where,
      fix: "check the id, or give the path of a local folder.",
    });
  }
  return new HubError("ERR_HUB_ANSWER", `the hub answered ${answer}.`, { where, fix: "check HF_ENDPOINT." });
}

/** Given in seconds or as a date. At most two minutes, or a command would seem to hang. */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), 120) * 1000;
}
