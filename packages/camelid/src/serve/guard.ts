/**
 * Who may talk to the server. On loopback any page of the web can make a browser send requests here, and a name of its own can point
 * here: so the Host must be one of ours, and a browser's Origin must be this server's. With a key, every request needs it.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { Refusal } from "./failures.js";

export interface GuardSettings {
  port: number;
  /** Names that this server goes by besides those of loopback; undefined: any, which takes a key. */
  hosts: readonly string[] | undefined;
  key: string | undefined;
  /** Pages of these origins may call it too. */
  origins: readonly string[];
}

/** @throws {Refusal} 401, 403, 421 */
export function guard({ port, hosts, key, origins }: GuardSettings): MiddlewareHandler {
  const known = new Set(
    ["127.0.0.1", "localhost", "[::1]", ...(hosts ?? [])].flatMap((host) => [host, `${host}:${port}`]),
  );
  return async (context, next) => {
    const host = context.req.header("host") ?? "";
    if (hosts !== undefined && !known.has(host))
      throw new Refusal(421, "unknown_host", "this server does not go by that name.");
    const origin = context.req.header("origin");
    const isAllowed = origin === undefined || origin === `http://${host}` || origins.includes(origin);
    if (!isAllowed)
      throw new Refusal(403, "unknown_origin", "pages of other sites may not call this server.");
    if (origin !== undefined) {
      context.header("access-control-allow-origin", origin);
      context.header("vary", "origin");
      if (context.req.method === "OPTIONS") {
        // OpenAI's client sends a dozen headers of its own from a browser; none of them means anything here.
        const wanted = context.req.header("access-control-request-headers") ?? "authorization, content-type";
        context.header("access-control-allow-headers", wanted);
        context.header("access-control-max-age", "600");
        // Browsers ask this before a page of the web reaches a machine at home.
        if (context.req.header("access-control-request-private-network") === "true")
          context.header("access-control-allow-private-network", "true");
        context.header("access-control-allow-methods", "GET, POST");
        return context.body(null, 204);
      }
    }
    const isOpen = context.req.path === "/health";
    if (key !== undefined && !isOpen && !equal(keyOf(context.req.header("authorization")), key))
      throw new Refusal(401, "invalid_api_key", "the request has no valid key: Authorization: Bearer <key>.");
    return next();
  };
}

/** The scheme's name is written in any case (RFC 9110, 11.1). */
const keyOf = (authorization = ""): string => /^bearer +(.*)$/i.exec(authorization)?.[1] ?? "";

/** Takes the same time wherever they differ. */
function equal(a: string, b: string): boolean {
  const digest = (value: string) => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(a), digest(b));
}
