/** The form that starts runs, in a real browser: made of each recipe's own settings. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtCamelid } from "../cli/built-camelid.js";
import { writeTinyModel } from "../tiny-model.js";
import { findChromium, launchChromium, openView } from "./browser.js";
import { isBuilt, type StudioProcess, startStudioProcess } from "./studio-process.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-form-"));
let studio: StudioProcess;
let browser: Browser;

const field = (page: Page, key: string) => page.locator(`[id="knob-${key}"]`);
const command = (page: Page) => page.locator(".launch-bar .command");
const open = async (hash: string) => await openView(browser, studio.url, { hash });

describe.skipIf(!isBuilt || findChromium() === undefined)(
  "the start form (npm run build; Chromium in PATH or CHROMIUM_PATH)",
  () => {
    beforeAll(async () => {
      await writeTinyModel(folder, { seed: 1 });
      const rows = Array.from({ length: 24 }, (_, i) => ({
        messages: [
          { role: "user", content: `hill ${i}` },
          { role: "assistant", content: i % 3 === 0 ? "grass" : "stone" },
        ],
        label: i % 3 === 0,
      }));
      writeFileSync(join(folder, "judged.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      studio = await startStudioProcess(folder, join(folder, "cache"));
      browser = await launchChromium();
    });
    afterAll(async () => {
      await browser?.close();
      await studio?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    test("every recipe that can be resumed has a form with all its settings, and so has the evaluation", async () => {
      const forms = (await (await studio.fetch("/api/launch/recipes")).json()) as {
        name: string;
        resumable: boolean;
        groups: { knobs: { key: string; flag: string }[] }[];
      }[];
      const names = forms.map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(["sft", "dpo", "kto", "reward", "eval"]));
      for (const { name, resumable, groups } of forms) {
        expect(resumable, name).toBe(name !== "eval");
        const help = (await builtCamelid(name, "--help")).out;
        for (const { flag } of groups.flatMap(({ knobs }) => knobs)) expect(help, name).toContain(flag);
      }
    });

    test("of another recipe's form, only what it knows is kept, and the folder is its own", async () => {
      const { page, context } = await open("#/train?recipe=dpo");
      await field(page, "beta").fill("0.3");
      await field(page, "learningRate").fill("1e-4");
      await page.getByLabel("Recipe").selectOption("sft");
      await page.waitForFunction(
        () => document.querySelector(".launch-bar .command")?.textContent?.startsWith("camelid sft") === true,
      );
      expect(await command(page).textContent()).toBe("camelid sft --out sft-1 --set learningRate=1e-4");
      expect(await page.locator(".knob.wrong, .note.bad").count()).toBe(0);
      await context.close();
    });

    test("an evaluation that names nothing to evaluate is refused before it starts, and goes on once it does", async () => {
      const { page, context } = await open("#/train?recipe=eval");
      await page.getByText("nothing to evaluate").waitFor();
      await field(page, "model").fill("model");
      await page.getByText("no task is named").waitFor();
      await field(page, "tasks").fill("gsm8k");
      await page.waitForFunction(() => document.querySelector(".note.bad") === null);
      expect(await command(page).textContent()).toBe(
        "camelid eval --out eval-1 --set model=model --set tasks=gsm8k",
      );
      await context.close();
    });

    test("memory and time are told before anything runs, in the words of camelid plan; a change marks them as old", async () => {
      const { page, context } = await open("#/train?recipe=sft");
      const ask = page.getByRole("button", { name: "Memory and time" });
      expect(await ask.isDisabled()).toBe(true);
      await field(page, "model").fill("model");
      await field(page, "data").fill("judged.jsonl");
      await field(page, "maxSteps").fill("3");
      await page.waitForFunction(
        () => document.querySelector(".launch-bar .command")?.textContent?.includes("maxSteps=3") === true,
      );
      await ask.click();
      const plan = page.locator(".plan .log");
      await plan.waitFor({ timeout: 60_000 });
      expect(await plan.textContent()).toMatch(/sft of model .*weights.*3 steps/s);
      await field(page, "maxSteps").fill("4");
      await page.getByText("The settings have changed since.").waitFor();
      expect(existsSync(join(folder, "sft-1"))).toBe(false);
      await context.close();
    });

    test("what is started is the command that is shown: a KTO run, followed to its end", async () => {
      const { page, context } = await open("#/train?recipe=kto");
      for (const [key, value] of [
        ["model", "model"],
        ["data", "judged.jsonl"],
        ["maxSteps", "2"],
        ["microBatchSize", "4"],
        ["preflight", undefined],
      ] as const) {
        if (value === undefined) await field(page, key).selectOption("false");
        else await field(page, key).fill(value);
      }
      await page.waitForFunction(
        () =>
          document.querySelector(".launch-bar .command")?.textContent?.includes("preflight=false") === true,
      );
      const words = (await command(page).textContent())!;
      expect(words).toContain("camelid kto --out kto-1 --set model=model --set data=judged.jsonl");
      await page.getByRole("button", { name: "Start training" }).click();
      await page.getByRole("heading", { name: "kto-1" }).waitFor({ timeout: 60_000 });
      await page.locator(".lead .status.completed").waitFor({ timeout: 60_000 });
      await context.close();
    });
  },
);
