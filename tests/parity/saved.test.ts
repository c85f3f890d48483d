/**
 * Folders that Camelid wrote, loaded by transformers itself. Needs a Python with torch and transformers (4 or 5):
 *     CAMELID_PYTHON=/path/to/python npx vitest run tests/parity/saved.test.ts
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { parityPath } from "./reference.js";

const python = process.env.CAMELID_PYTHON;
const scratch = mkdtempSync(join(tmpdir(), "camelid-saved-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const REFERENCES = ["llama/fixtures", "families/fixtures"].flatMap((folder) =>
  readdirSync(parityPath(folder)).map((name) => parityPath(`${folder}/${name}`)),
);

test.skipIf(python === undefined)(
  "transformers computes from every saved folder what it computed from the original",
  () => {
    const pairs = REFERENCES.flatMap((reference, i) => {
      using model = loadModel(join(reference, "model"));
      const copy = join(scratch, String(i));
      saveModel(model, copy);
      return [copy, reference];
    });
    const environment = {
      ...process.env,
      HF_HUB_OFFLINE: "1",
      HF_HUB_DISABLE_PROGRESS_BARS: "1",
      TRANSFORMERS_VERBOSITY: "error",
    };
    const printed = execFileSync(python!, [parityPath("check_saved.py"), ...pairs], { env: environment });
    expect(printed.toString().match(/differs by/g)).toHaveLength(REFERENCES.length);
  },
  300_000,
);
