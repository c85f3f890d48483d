/**
 * Is the stand-in for the hub like a hub? Hugging Face's own Python client uploads to it, and what arrives is what arrives from us.
 *     CAMELID_PYTHON=/path/to/python npx vitest run tests/export/hub-client.test.ts
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pushModel } from "../../packages/camelid/src/export/push.js";
import { UploadHub } from "../faults/upload-hub.js";

const python = process.env.CAMELID_PYTHON;
const root = mkdtempSync(join(tmpdir(), "camelid-hub-client-"));
const hub = new UploadHub();
beforeAll(() => hub.start());
afterAll(async () => {
  await hub.stop();
  rmSync(root, { recursive: true });
});

const SCRIPT = `
import sys
from huggingface_hub import HfApi
api = HfApi(endpoint=sys.argv[1], token=sys.argv[2])
api.create_repo("org/theirs", private=True)
api.upload_folder(repo_id="org/theirs", folder_path=sys.argv[3], commit_message="theirs")
`;

test.skipIf(python === undefined)("Hugging Face's client pushes to the stand-in as ours does", async () => {
  const folder = mkdtempSync(join(root, "model-"));
  writeFileSync(join(folder, "config.json"), '{"model_type":"llama"}');
  writeFileSync(
    join(folder, "model.safetensors"),
    Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 251)),
  );
  writeFileSync(join(folder, "small.safetensors"), Buffer.alloc(20_000, 3));
  const environment = {
    ...process.env,
    HF_HUB_DISABLE_XET: "1",
    HF_HUB_DISABLE_PROGRESS_BARS: "1",
    HF_HOME: join(root, "hf"),
  };
  await promisify(execFile)(python!, ["-c", SCRIPT, hub.endpoint, hub.token, folder], { env: environment });
  await pushModel({
    model: folder,
    repo: "org/ours",
    env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: hub.token },
  });
  const [theirs, ours] = ["org/theirs", "org/ours"].map((id) => hub.repositories.get(id)!.files);
  expect([...ours!.keys()].sort()).toEqual([...theirs!.keys()].sort());
  for (const [name, { content, isLarge }] of theirs!) {
    expect(ours!.get(name)!.content.equals(content), name).toBe(true);
    expect(ours!.get(name)!.isLarge, name).toBe(isLarge);
  }
});
