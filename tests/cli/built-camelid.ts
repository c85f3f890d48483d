/** The built command line, in a process of its own. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Outcome {
  code: number;
  out: string;
  err: string;
}

export const builtProgram = fileURLToPath(
  new URL("../../packages/camelid/dist/cli/main.js", import.meta.url),
);

/** Runs the built program as a user does. */
export function builtCamelid(...words: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [builtProgram, ...words], (error, out, err) => {
      resolve({
        code: typeof error?.code === "number" ? error.code : error === null ? 0 : Number.NaN,
        out,
        err,
      });
    });
  });
}
