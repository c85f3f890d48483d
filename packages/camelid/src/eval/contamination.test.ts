import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { contaminationOf } from "./contamination.js";

const root = mkdtempSync(join(tmpdir(), "camelid-contamination-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A run whose data lie beside this manifest. @returns its final model's folder */
function runOn(name: string, settings: object, contacts: readonly Record<string, number>[]): string {
  const [mix, run] = [join(root, `${name}-mix`), join(root, name)];
  mkdirSync(mix);
  mkdirSync(join(run, "final"), { recursive: true });
  const sources = contacts.map((one, i) => ({ name: `source ${i}`, contacts: one }));
  writeFileSync(join(mix, "manifest.json"), JSON.stringify({ format: 1, settings, sources }));
  writeFileSync(join(run, "settings.json"), JSON.stringify({ data: join(mix, "train.jsonl") }));
  return join(run, "final");
}

test("rows found in any source are added up by benchmark; whether they were removed is told", () => {
  const contacts = [{ gsm8k: 3, mmlu: 1 }, { gsm8k: 2 }];
  const removed = contaminationOf(runOn("a", { decontaminate: { action: "remove" } }, contacts));
  expect(removed).toMatchObject({ searched: true, removed: true, contacts: { gsm8k: 5, mmlu: 1 } });
  const kept = contaminationOf(runOn("b", { decontaminate: { action: "report" } }, contacts));
  expect(kept).toMatchObject({ searched: true, removed: false });
});

test("a mixture that was not searched says nothing about being clean", () => {
  expect(contaminationOf(runOn("c", {}, [{}]))).toMatchObject({ searched: false, removed: false });
});

test("where the trail ends nothing is claimed", () => {
  expect(contaminationOf(join(root, "nowhere"))).toBeUndefined();
  const bare = join(root, "bare/final");
  mkdirSync(bare, { recursive: true });
  expect(contaminationOf(bare)).toBeUndefined();
  writeFileSync(join(root, "bare/settings.json"), JSON.stringify({ data: join(root, "rows.jsonl") }));
  expect(contaminationOf(bare)).toBeUndefined();
});
