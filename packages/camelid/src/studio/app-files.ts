/** The built browser app: a handful of files, read once and kept. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { MiddlewareHandler } from "hono";
import { InternalError } from "../errors.js";

/**
 * Folder of the built Studio app.
 * @throws {InternalError} when this installation does not have it
 */
export function studioAppFolder(): string {
  let folder: string | undefined;
  try {
    folder = join(dirname(fileURLToPath(import.meta.resolve("@camelid/studio/package.json"))), "dist");
  } catch {
    // Said below.
  }
  if (folder !== undefined && existsSync(join(folder, "index.html"))) return folder;
  throw new InternalError("the browser app is not part of this build.", {
    where: folder ?? "@camelid/studio",
    fix: "build it with `npm run setup`.",
  });
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Names come from the folder, never from a request: nothing else can be asked for. */
export function appFiles(folder: string): MiddlewareHandler {
  const files = new Map<string, { body: Uint8Array<ArrayBuffer>; type: string }>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const path = `/${relative(folder, join(folder, name)).split(sep).join("/")}`;
    files.set(path, { body: new Uint8Array(readFileSync(join(folder, name))), type });
  }
  files.set("/", files.get("/index.html")!);
  return async (context, next) => {
    const file = files.get(context.req.path);
    if (file === undefined) return next();
    // File names under assets hold a hash of their content.
    if (context.req.path.startsWith("/assets/"))
      context.header("cache-control", "private, max-age=31536000, immutable");
    return context.body(file.body, 200, { "content-type": file.type });
  };
}
