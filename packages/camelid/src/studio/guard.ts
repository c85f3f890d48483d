/**
 * Who may talk to the server: a browser page that it served itself. Any page of the web can make a browser send requests to
 * loopback, and a name of its own can point there; so the Host must be ours (no DNS rebinding), what changes anything must
 * come from our own origin as JSON (no forged posts), and everything needs the token that only the address printed on the
 * terminal holds.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";

export interface GuardSettings {
  readonly token: string;
  readonly port: number;
}

export function guard({ token, port }: GuardSettings): MiddlewareHandler {
  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]);
  // Cookies do not know ports: two Studios on one machine must not take each other's.
  const cookie = `camelid-studio-${port}`;
  return async (context, next) => {
    setHeaders(context);
    const host = context.req.header("host") ?? "";
    if (!hosts.has(host))
      return refuse(context, 421, "ERR_STUDIO_HOST", "this server does not go by that name.");
    if (!["GET", "HEAD"].includes(context.req.method)) {
      const origin = context.req.header("origin");
      const sameOrigin = origin === `http://${host}` && context.req.header("sec-fetch-site") !== "cross-site";
      if (!sameOrigin)
        return refuse(context, 403, "ERR_STUDIO_ORIGIN", "the request comes from another site.");
      if (!/^application\/json\b/.test(context.req.header("content-type") ?? "")) {
        return refuse(context, 415, "ERR_STUDIO_TYPE", "the request is not JSON.");
      }
    }
    const asked = new URL(context.req.url);
    const given = asked.searchParams.get("token");
    if (given !== null && equal(given, token)) {
      setCookie(context, cookie, token, { httpOnly: true, sameSite: "Strict", path: "/" });
      asked.searchParams.delete("token");
      return context.redirect(asked.pathname + asked.search, 303);
    }
    if (!equal(getCookie(context, cookie) ?? "", token)) {
      return refuse(
        context,
        401,
        "ERR_STUDIO_TOKEN",
        "open the address that `camelid studio` printed; it holds the key.",
      );
    }
    return next();
  };
}

/** Scripts and styles only from here, nothing from elsewhere, no frames around it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function setHeaders(context: Context): void {
  context.header("content-security-policy", POLICY);
  context.header("x-content-type-options", "nosniff");
  context.header("referrer-policy", "no-referrer");
  context.header("cross-origin-opener-policy", "same-origin");
  context.header("cross-origin-resource-policy", "same-origin");
  context.header("cache-control", "no-store");
}

function refuse(context: Context, status: 401 | 403 | 415 | 421, code: string, message: string) {
  return context.json({ error: { code, message } }, status);
}

/** Takes the same time wherever they differ. */
function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
