/** Replies that come as objects, one a line, while the server writes them. */
import { type ApiError, RequestFailed } from "./api.ts";

export async function* streamLines<T>(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<T> {
  const response = await fetch(`/api/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok || response.body === null) {
    const failed = (await response.json().catch(() => undefined)) as ApiError | undefined;
    throw new RequestFailed(
      response.status,
      failed?.error ?? { code: "ERR_HTTP", message: `status ${response.status}` },
    );
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const lines = rest.split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") yield JSON.parse(line) as T;
  }
}
