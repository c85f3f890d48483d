/** The Studio's server: the app's files, and the API behind the guard. */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { SettingsError } from "../errors.js";
import { Answerer } from "./answers/answerer.js";
import { answerRoutes } from "./answers/routes.js";
import { appFiles, studioAppFolder } from "./app-files.js";
import { StudioContext } from "./context.js";
import { evalRoutes } from "./evals/routes.js";
import { NotFound, reply } from "./failures.js";
import { guard } from "./guard.js";
import { type Launching, launchRoutes } from "./launch/routes.js";
import { dataRoutes } from "./mixes/routes.js";
import { preferenceRoutes } from "./preferences/routes.js";
import { Roots } from "./roots.js";
import { runRoutes } from "./runs/routes.js";

export { studioAppFolder };

export interface StudioOptions {
  /** Folders to show; nothing outside of them is served. */
  roots: readonly string[];
  /** 0 takes any free one. */
  port?: number;
  /** How runs are started; without it they can only be looked at. */
  launching?: Launching;
}

export interface Studio extends AsyncDisposable {
  /** Address with the key; whoever has it may look, chat and train. */
  readonly url: string;
}

/**
 * Serves the Studio on loopback.
 * @throws {SettingsError} `ERR_STUDIO_ROOT`, `ERR_STUDIO_PORT`; {InternalError} when the app is not built
 */
export async function startStudio({ roots, port = 0, launching }: StudioOptions): Promise<Studio> {
  const files = appFiles(studioAppFolder());
  const studio = new StudioContext(new Roots(roots));
  const answerer = new Answerer();
  const app = new Hono();
  const server = createServer(getRequestListener(app.fetch, { overrideGlobalObjects: false }));
  const taken = await listen(server, port);
  const token = randomBytes(24).toString("base64url");

  app.use(guard({ token, port: taken }));
  app.onError(reply);
  app.use(files);
  app.route("/api", apiRoutes(studio, answerer, launching));
  app.notFound((context) => reply(new NotFound("there is nothing here."), context));

  return {
    url: `http://127.0.0.1:${taken}/?token=${token}`,
    async [Symbol.asyncDispose]() {
      answerer.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function apiRoutes(studio: StudioContext, answerer: Answerer, launching: Launching | undefined): Hono {
  const api = new Hono();
  api.get("/catalog", (context) => context.json(studio.catalog()));
  api.route("/runs", runRoutes(studio));
  api.route("/data", dataRoutes(studio));
  api.route("/evals", evalRoutes(studio));
  api.route("/answers", answerRoutes(studio, answerer));
  api.route("/preferences", preferenceRoutes(studio, answerer));
  if (launching !== undefined) api.route("/launch", launchRoutes(studio, launching));
  return api;
}

/** Loopback only: what the Studio may do is not for the network. */
function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, refuse) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      refuse(
        new SettingsError(
          "ERR_STUDIO_PORT",
          `port ${port} cannot be used (${cause.code ?? cause.message}).`,
          {
            where: `127.0.0.1:${port}`,
            fix: "choose another with --port, or leave it out.",
            cause,
          },
        ),
      );
    });
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
