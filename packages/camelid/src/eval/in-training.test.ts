import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, expect, test } from "vitest";
import { writeSampleData } from "../../../../tests/eval/sample-data.js";
import { writeTinyModel } from "../../../../tests/tiny-model.js";
import { loadModel } from "../model/load.js";
import { loadTokenizer } from "../tokenizer/tokenizer.js";
import { evaluateInTraining } from "./in-training.js";

const root = mkdtempSync(join(tmpdir(), "camelid-in-training-"));
afterAll(() => rmSync(root, { recursive: true }));

test("a step's benchmarks come back as events, its folder is a whole evaluation, training's chance is untouched", async () => {
  const tiny = await writeTinyModel(join(root, "tiny"));
  const data = [writeSampleData(join(root, "data"))];
  using model = loadModel(tiny.model);
  const tokenizer = await loadTokenizer(tiny.model);
  const run = join(root, "run");
  const before = torch.getRandomState().toTypedArray();
  const live = torch.memoryStats().liveTensors;
  const results = await evaluateInTraining(model, tokenizer, {
    run,
    step: 20,
    tasks: ["mmlu", "bbh"],
    data,
    shots: 0,
    limit: 2,
  });
  expect(torch.getRandomState().toTypedArray()).toEqual(before);
  expect(results.map(({ name }) => name)).toEqual(["mmlu", "bbh"]);
  expect(results[0]!.metrics).toMatchObject({ score: expect.any(Number), low: expect.any(Number), items: 2 });
  expect(existsSync(join(run, "evals/step-20/report.html"))).toBe(true);
  expect(torch.memoryStats().liveTensors - live).toBeLessThanOrEqual(2); // the two random states looked at here
}, 60_000);
