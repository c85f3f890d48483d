/** An OpenAI-compatible server over our engines. */

import { setMaxListeners } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { SettingsError } from "../errors.js";
import type { Engine } from "../generate/requests.js";
import { Admission } from "./admission.js";
import { chatCompletions, completions, type Service } from "./completions.js";
import { answerFailure, Refusal } from "./failures.js";
import { guard } from "./guard.js";
import { Metrics } from "./metrics.js";

export interface ServeSettings {
  /** By the names that clients ask for. */
  engines: ReadonlyMap<string, Engine>;
  /** Address to listen on; loopback unless there is a key. */
  host?: string;
  /** 0 takes any free one. */
  port?: number;
  /** What clients must send as `Authorization: Bearer <key>`. */
  key?: string | undefined;
  /** Pages of these origins may call the server from a browser. */
  origins?: readonly string[];
  /** Most new tokens of one answer. */
  maxNewTokens?: number;
  maxBodyBytes?: number;
  /** Requests being answered and waiting, together; one more gets 429. */
  maxRequests?: number;
  /** Longest time for one answer. */
  requestSeconds?: number;
  /** A client that takes nothing of its stream for so long is given up. */
  stallSeconds?: number;
  /** Called at the end of every request. */
  onRequest?: (request: { method: string; path: string; status: number; milliseconds: number }) => void;
  /** Told of failures that are the server's own; written to stderr when left out. */
  onFailure?: (error: unknown) => void;
}

export interface ModelServer extends AsyncDisposable {
  /** `http://127.0.0.1:8000` */
  readonly url: string;
  readonly metrics: Metrics;
  /** Takes no new requests, lets those inside end for up to `seconds`, then ends the rest and closes. */
  close(seconds?: number): Promise<void>;
}

/** @throws {SettingsError} `ERR_SERVE_NEEDS_KEY`, `ERR_SERVE_PORT` */
export async function startServer(settings: ServeSettings): Promise<ModelServer> {
  const { engines, host = "127.0.0.1", port = 8000, key, origins = [] } = settings;
  const isLoopback = ["127.0.0.1", "localhost", "::1"].includes(host);
  if (!isLoopback && key === undefined) {
    throw new SettingsError(
      "ERR_SERVE_NEEDS_KEY",
      `on ${host} anybody who reaches this machine could use the model.`,
      {
        where: "host",
        fix: "set CAMELID_API_KEY to a secret that clients send, or stay on 127.0.0.1.",
      },
    );
  }
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // one for each request inside
  const admission = new Admission(settings.maxRequests ?? 256);
  const metrics = new Metrics();
  const service: Service = {
    engines,
    admission,
    metrics,
    limits: { maxNewTokens: settings.maxNewTokens ?? 2048 },
    maxBodyBytes: settings.maxBodyBytes ?? 4 * 2 ** 20,
    requestSeconds: settings.requestSeconds ?? 600,
    stallSeconds: settings.stallSeconds ?? 30,
    stopping: stop.signal,
    onFailure: settings.onFailure ?? ((error) => console.error(error)),
  };

  const app = new Hono<{ Bindings: HttpBindings }>();
  const server = createServer(
    { connectionsCheckingInterval: 1000 },
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  // A client that sends its request byte by byte does not hold a connection for long.
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  // Nor does one that never reads its answer: nothing has moved for longer than any answer may take.
  server.timeout = Math.min((service.requestSeconds + 2 * service.stallSeconds) * 1000, 2 ** 31 - 1);
  const taken = await listen(server, host, port);

  app.use(async (context, next) => {
    const started = performance.now();
    await next();
    const { method, path } = context.req;
    const { status } = context.res;
    metrics.request(ROUTES.has(path) ? path : "other", status);
    settings.onRequest?.({ method, path, status, milliseconds: performance.now() - started });
  });
  app.onError((error, context) => answerFailure(error, context, service.onFailure));
  app.use(guard({ port: taken, hosts: isLoopback ? [host] : undefined, key, origins }));
  app.get("/health", (context) =>
    admission.isDraining ? context.json({ status: "stopping" }, 503) : context.json({ status: "ok" }),
  );
  app.get("/metrics", (context) =>
    context.text(
      metrics.text(
        [...engines].map(([name, engine]) => [name, engine.stats()] as const),
        admission.inside,
      ),
    ),
  );
  app.get("/v1/models", (context) => {
    return context.json({ object: "list", data: [...engines.keys()].map(describeModel) });
  });
  // Names may hold a slash: org/name.
  app.get("/v1/models/:id{.+}", (context) => {
    const id = context.req.param("id");
    if (!engines.has(id))
      throw new Refusal(404, "model_not_found", `there is no model "${id}".`, { param: "model" });
    return context.json(describeModel(id));
  });
  app.post("/v1/chat/completions", chatCompletions(service));
  app.post("/v1/completions", completions(service));
  app.notFound((context) => answerFailure(new Refusal(404, "not_found", "there is nothing here."), context));

  const close = async (seconds = 30): Promise<void> => {
    await admission.drain(seconds * 1000);
    stop.abort();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 1000).unref();
    await closed;
  };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    metrics,
    close,
    [Symbol.asyncDispose]: () => close(0),
  };
}

const describeModel = (id: string) => ({ id, object: "model", created: 0, owned_by: "camelid" });

const ROUTES = new Set(["/health", "/metrics", "/v1/models", "/v1/chat/completions", "/v1/completions"]);

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        new SettingsError("ERR_SERVE_PORT", `cannot listen (${cause.code ?? cause.message}).`, {
          where: `${host}:${port}`,
          fix:
            cause.code === "EADDRINUSE"
              ? "choose another --port; 0 takes any free one."
              : "check --host and --port.",
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
