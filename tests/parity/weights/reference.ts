import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Path of a file that `make.py` wrote. */
export const referenceFile = (name: string): string =>
  fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

/** A tensor as Python sees it; `bytes` in hex. */
export interface ReferenceTensor {
  dtype: string;
  shape: number[];
  bytes: string;
}

export const reference = JSON.parse(readFileSync(referenceFile("expected.json"), "utf8")) as {
  safetensors: Record<string, ReferenceTensor>;
  torch: Record<string, ReferenceTensor>;
};
