/** A tiny model behind a server, for tests of what its clients see. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { createEngine, type Engine, loadModel, loadTokenizer } from "camelid";
import OpenAI from "openai";
import {
  type ModelServer,
  type ServeSettings,
  startServer,
} from "../../packages/camelid/src/serve/server.js";
import { writeTinyModel } from "../tiny-model.js";

export interface Serving extends AsyncDisposable {
  engine: Engine;
  start(settings?: Partial<ServeSettings>): Promise<ModelServer>;
}

/** The model is called `tiny`; up to four texts are written at a time unless told otherwise. */
export async function serveTiny(maxSequences = 4): Promise<Serving> {
  torch.setNumThreads(1);
  const root = mkdtempSync(join(tmpdir(), "camelid-serve-"));
  const tiny = await writeTinyModel(join(root, "tiny"));
  const model = loadModel(tiny.model);
  const engine = createEngine(model, await loadTokenizer(tiny.model), { maxSequences });
  return {
    engine,
    start: (settings = {}) => startServer({ engines: new Map([["tiny", engine]]), port: 0, ...settings }),
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      model[Symbol.dispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export const clientOf = ({ url }: ModelServer, apiKey = "none"): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

export const post = (
  { url }: ModelServer,
  body: unknown,
  { path = "chat/completions", headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<Response> =>
  fetch(`${url}/v1/${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

export async function errorOf(
  response: Response,
): Promise<{ status: number; code: string; message: string; param: string | null }> {
  const { error } = (await response.json()) as {
    error: { code: string; message: string; param: string | null };
  };
  return { status: response.status, ...error };
}

/** The data of all events of a stream, without `[DONE]`, which has to be the last. */
export async function eventsOf(response: Response): Promise<Record<string, unknown>[]> {
  const data = (await response.text())
    .trim()
    .split("\n\n")
    .map((event) => event.slice("data: ".length));
  if (data.at(-1) === "[DONE]") data.pop();
  return data.map((json) => JSON.parse(json) as Record<string, unknown>);
}

export function socketTo({ url }: ModelServer): Socket {
  const { port, hostname } = new URL(url);
  return connect(Number(port), hostname);
}

/** Waits until it holds; what never holds fails the test. */
export async function until(holds: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`still not so after ${seconds} s: ${holds}`);
}
