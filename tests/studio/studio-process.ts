/** `camelid studio` as people start it: the build, in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { builtProgram } from "../cli/built-camelid.js";

const app = fileURLToPath(new URL("../../packages/studio/dist/index.html", import.meta.url));

/** Whether `npm run build` has been here. */
export const isBuilt = existsSync(builtProgram) && existsSync(app);

export interface StudioProcess extends AsyncDisposable {
  /** Address with the key. */
  url: string;
  origin: string;
  /** Requests with the key's cookie, as the page sends them. */
  fetch(path: string, options?: RequestInit): Promise<Response>;
}

/** @param cwd where relative paths of runs are meant from */
export async function startStudioProcess(
  cwd: string,
  cache: string,
  roots: string[] = [],
): Promise<StudioProcess> {
  const child = spawn(process.execPath, [builtProgram, "studio", ...roots, "--no-open"], {
    cwd,
    env: { ...process.env, CAMELID_CACHE: cache, CAMELID_STUDIO_THREADS: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const url = await firstAddress(child);
  const origin = new URL(url).origin;
  const answer = await fetch(url, { redirect: "manual" });
  const cookie = answer.headers.get("set-cookie")!.split(";")[0]!;
  return {
    url,
    origin,
    fetch: (path, options = {}) =>
      fetch(`${origin}${path}`, {
        ...options,
        headers: { cookie, origin, "content-type": "application/json", ...options.headers },
      }),
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGINT");
      await ended;
    },
  };
}

function firstAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (text: Buffer) => {
      said += text.toString("utf8");
      const url = /http:\/\/\S+token=\S+/.exec(said)?.[0];
      if (url !== undefined) resolve(url);
    };
    child.stdout?.on("data", listen);
    child.stderr?.on("data", listen);
    child.once("exit", (code) => reject(new Error(`camelid studio ended with code ${code}: ${said}`)));
  });
}
