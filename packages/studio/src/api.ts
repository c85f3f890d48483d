/** Requests to the server. Types are the server's own. */
import type { ApiError } from "../../camelid/src/studio/api.ts";

export type * from "../../camelid/src/studio/api.ts";

export class RequestFailed extends Error {
  constructor(
    readonly status: number,
    readonly body: ApiError["error"],
  ) {
    super(body.message);
  }
}

type Query = Record<string, string | number | undefined>;

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await request(path, query, signal === undefined ? {} : { signal })) as T;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const options = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  return (await request(path, {}, signal === undefined ? options : { ...options, signal })) as T;
}

/** `undefined` for "nothing new" (204). */
async function request(path: string, query: Query, options: RequestInit): Promise<unknown> {
  const words = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(words.map(([key, value]) => [key, String(value)])).toString();
  let response: Response;
  try {
    response = await fetch(`/api/${path}${search === "" ? "" : `?${search}`}`, options);
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new RequestFailed(0, {
      code: "ERR_STUDIO_GONE",
      message: "the Studio does not answer.",
      fix: "is `camelid studio` still running? Start it again and open the address it prints.",
    });
  }
  if (response.status === 204) return undefined;
  const body = await response.json().catch(() => undefined);
  if (response.ok) return body;
  throw new RequestFailed(
    response.status,
    (body as ApiError | undefined)?.error ?? { code: "ERR_HTTP", message: `status ${response.status}` },
  );
}

/** An id as one part of a path. */
export const part = (id: string): string => encodeURIComponent(id);
