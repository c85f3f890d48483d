/**
 * Exported folders in transformers itself: same ids from the chat template, same logits. Needs a Python with it (4 or 5):
 *     CAMELID_PYTHON=/path/to/python npx vitest run tests/export/transformers.test.ts
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@camelid/torch";
import { afterAll, expect, test } from "vitest";
import { exportModel } from "../../packages/camelid/src/export/export-model.js";
import { type FamilyName, familyModel } from "./family-models.js";

const python = process.env.CAMELID_PYTHON;
const root = mkdtempSync(join(tmpdir(), "camelid-in-transformers-"));
afterAll(() => rmSync(root, { recursive: true }));

const FAMILIES: readonly FamilyName[] = [
  "llama",
  "llama3",
  "llama-spm",
  "llama-metaspace",
  "mistral",
  "qwen2",
  "qwen3",
  "olmo2",
];

test.skipIf(python === undefined)(
  "transformers makes the ids and logits of the fixtures from every merged folder",
  async () => {
    torch.setNumThreads(1);
    const folders: string[] = [];
    for (const family of FAMILIES) {
      for (const dtype of ["float32", "bfloat16"] as const) {
        const model = await familyModel(family, join(root, `${family}-${dtype}-source`), dtype);
        const out = join(root, `${family}-${dtype}`);
        await exportModel({ model, to: "merged", out });
        folders.push(out);
      }
    }
    const script = join(dirname(fileURLToPath(import.meta.url)), "check_parity.py");
    const environment = {
      ...process.env,
      HF_HUB_OFFLINE: "1",
      TRANSFORMERS_VERBOSITY: "error",
      HF_HUB_DISABLE_PROGRESS_BARS: "1",
    };
    const printed = execFileSync(python!, [script, ...folders], { env: environment }).toString();
    expect(printed.match(/logits differ by/g)).toHaveLength(folders.length);
  },
  300_000,
);
