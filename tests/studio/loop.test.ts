/**
 * The whole loop, in a real browser and with real models: look at a mask, vote in the arena, train on the votes, and see the
 * win rate move. The models have 40,000 random weights, so what they say is noise; that what is voted reaches the next model is
 * not.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readPreferences } from "../../packages/camelid/src/data/read-preferences.js";
import { readRun } from "../../packages/camelid/src/run/read-run.js";
import { runHolder } from "../../packages/camelid/src/run/run-lock.js";
import { writeTinyModel } from "../tiny-model.js";
import { findChromium, launchChromium, openView } from "./browser.js";
import { isBuilt, type StudioProcess, startStudioProcess } from "./studio-process.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-loop-"));
const root = folder.split("/").at(-1)!;
let studio: StudioProcess;
let browser: Browser;

/** One round: both answer, the longer answer is preferred, the models are told. */
async function vote(page: Page, prompt: string): Promise<void> {
  await page.getByLabel("Prompt", { exact: true }).fill(prompt);
  await page.getByRole("button", { name: "Ask both" }).click();
  await page.waitForFunction(
    () => [...document.querySelectorAll(".vote-bar button:not(:disabled)")].length === 4,
  );
  const [left, right] = await Promise.all(
    [0, 1].map((i) => page.locator(".answer .words").nth(i).textContent()),
  );
  expect(await page.locator(".answer h3").allTextContents(), "blind until the vote").toEqual([
    "Left",
    "Right",
  ]);
  await page.locator("h1").click(); // out of the text field, so that keys vote
  await page.keyboard.press(left!.length >= right!.length ? "1" : "4");
  await page.getByText("preferred", { exact: true }).first().waitFor();
}

const decided = async (page: Page, a: string, b: string): Promise<number> => {
  const text = await page
    .locator(".pairing", { hasText: a })
    .filter({ hasText: b })
    .locator("small")
    .textContent();
  const [won, lost] = [...text!.matchAll(/(\d+) (won|lost)/g)].map((match) => Number(match[1]));
  return won! + lost!;
};

/** A run that a failed test left going. */
function stopLeftOver(run: string): void {
  const holder = runHolder(run);
  if (holder.kind === "alive") process.kill(holder.pid, "SIGKILL");
}

describe.skipIf(!isBuilt || findChromium() === undefined)(
  "in Chromium (npm run build; Chromium in PATH or CHROMIUM_PATH)",
  () => {
    beforeAll(async () => {
      await writeTinyModel(folder, { seed: 1 });
      await writeTinyModel(join(folder, "second"), { seed: 5 });
      studio = await startStudioProcess(folder, join(folder, "cache"));
      browser = await launchChromium();
    });
    afterAll(async () => {
      for (const run of ["sft-1", "dpo-1"]) stopLeftOver(join(folder, run));
      await browser?.close();
      await studio?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    test("a mask is looked at, votes are cast, a run is trained on them, and the win rate moves", async () => {
      const { page, context, faults } = await openView(browser, studio.url, {
        hash: `#/data/${root}/rows.jsonl?tab=rows&row=0`,
      });
      // 1. A mask.
      const strip = page.getByRole("dialog").locator(".strip");
      await strip.locator(".tok.t").first().waitFor();
      await page.keyboard.press("Escape");

      // 2. Votes, between two models that are named only afterwards.
      await page.goto(`${studio.origin}/#/preferences?a=${root}/model&b=${root}/second/model`);
      await page.getByLabel("most tokens").fill("12");
      await page.getByLabel("temperature").fill("1");
      for (const prompt of ["alpaca water?", "red hill?", "slow llama?", "two clouds?"])
        await vote(page, prompt);
      await page.getByRole("link", { name: /^Votes/ }).click();
      await page.locator(".pairing").waitFor();
      expect(await decided(page, "second/model", `${root}/model`)).toBe(4);

      // 3. The votes become pairs that the trainer takes.
      await page.getByRole("button", { name: /^Export \d+ pair/ }).click();
      await page.getByRole("link", { name: "Train on them" }).waitFor();
      const votes = readFileSync(join(folder, "studio", "votes.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(votes).toHaveLength(4);
      const { files } = (await (await studio.fetch("/api/catalog")).json()) as { files: { id: string }[] };
      expect(
        files.map(({ id }) => id),
        "votes are no data to train on",
      ).not.toContain(`${root}/studio/votes.jsonl`);
      const exported = (await page.locator(".note.good a").textContent())!.split("/").at(-1)!;
      const { rows } = await readPreferences(join(folder, "studio", exported));
      expect(rows.length).toBeGreaterThan(0);
      for (const { chosen, rejected } of rows)
        expect(chosen.at(-1)!.content.length).toBeGreaterThanOrEqual(rejected.at(-1)!.content.length);

      // 4. The next run, from the form.
      await page.getByRole("link", { name: "Train on them" }).click();
      await page.getByLabel("model required").fill("model");
      await page.getByLabel("maxSteps", { exact: true }).fill("3");
      // An adapter, which the arena then puts on its base.
      await page.getByRole("group").filter({ hasText: "LoRA" }).locator("summary").click();
      await page.getByLabel("lora.rank", { exact: true }).fill("4");
      await page.getByLabel("learningRate", { exact: true }).fill("1e-3");
      await page.getByRole("group").filter({ hasText: "Machine" }).locator("summary").click();
      await page.getByLabel("threads", { exact: true }).fill("1");
      await page.waitForFunction(() =>
        /threads=1/.test(document.querySelector(".command")?.textContent ?? ""),
      );
      await page.getByRole("button", { name: "Start training" }).click();
      await page
        .locator(".status.completed, .note.bad, .button:has-text('Go to the run')")
        .first()
        .waitFor({ timeout: 90_000 });
      const go = page.getByRole("link", { name: "Go to the run" });
      if ((await go.count()) > 0) await go.click();
      await page.locator(".status.completed").waitFor({ timeout: 60_000 });
      const run = await readRun(join(folder, "dpo-1"));
      expect(run.steps).toHaveLength(3);
      expect(run.settings.data).toContain("pairs-");

      // 5. Base against the model that was trained on the votes: a new pairing, whose rate moves with each vote.
      await page.goto(`${studio.origin}/#/preferences?a=${root}/model&b=${root}/dpo-1/final`);
      await page.waitForFunction(() => document.querySelectorAll("option").length > 3);
      await vote(page, "green grass?");
      const first = await page.locator(".standing").textContent();
      await vote(page, "blue guanaco?");
      await page.waitForFunction(
        (before) => document.querySelector(".standing")?.textContent !== before,
        first,
      );
      await page.getByRole("link", { name: /^Votes/ }).click();
      await page.locator(".pairing", { hasText: "dpo-1" }).waitFor();
      expect(await page.locator(".pairing").count()).toBe(2);
      expect(await decided(page, "dpo-1/final", "model")).toBe(2);
      expect(faults).toEqual([]);
      await context.close();
    }, 240_000);

    test("a run is started, stopped with a checkpoint, and resumed", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: "#/train?recipe=sft" });
      await page.getByLabel("model required").fill("model");
      await page.getByLabel("data required").fill("rows.jsonl");
      await page.getByLabel("maxSteps", { exact: true }).fill("100000");
      await page.getByRole("group").filter({ hasText: "Machine" }).locator("summary").click();
      await page.getByLabel("threads", { exact: true }).fill("1");
      await page.waitForFunction(() =>
        /threads=1/.test(document.querySelector(".command")?.textContent ?? ""),
      );
      await page.getByRole("button", { name: "Start training" }).click();
      await page.getByRole("button", { name: "Stop and save" }).click({ timeout: 90_000 });
      await page.locator(".status.interrupted").waitFor({ timeout: 60_000 });
      const before = await readRun(join(folder, "sft-1"));
      await page.getByRole("link", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Stop and save" }).click({ timeout: 90_000 });
      await page.locator(".status.interrupted").waitFor({ timeout: 60_000 });
      const after = await readRun(join(folder, "sft-1"));
      expect(after.steps.length).toBeGreaterThan(before.steps.length);
      expect(after.events.filter(({ event }) => event === "run-start")).toHaveLength(2);
      await context.close();
    }, 240_000);

    test("two models answer the same message beside each other", async () => {
      const { page, context } = await openView(browser, studio.url, {
        hash: `#/chat?a=${root}/model&b=${root}/second/model`,
      });
      await page.getByLabel("most tokens").fill("8");
      await page.getByLabel("Message", { exact: true }).fill("water?");
      await page.keyboard.press("Enter");
      await page.waitForFunction(
        () =>
          [...document.querySelectorAll(".turn.assistant small")].filter((note) =>
            /\d+ tokens/.test(note.textContent ?? ""),
          ).length === 2,
      );
      const said = await page.locator(".turn.assistant p").allTextContents();
      expect(said).toHaveLength(2);
      expect(said[0]).not.toBe(said[1]);
      await context.close();
    });
  },
);
