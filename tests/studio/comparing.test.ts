/** What people come for: picking curves, laying runs over each other, reading what they say before and after. */
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium, launchChromium, openView } from "./browser.js";
import { writeEval, writeRun } from "./generated.js";
import { isBuilt, type StudioProcess, startStudioProcess } from "./studio-process.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-comparing-"));
const root = folder.split("/").at(-1)!;
let studio: StudioProcess;
let browser: Browser;

const open = async (hash: string) => await openView(browser, studio.url, { hash });
const address = (name: string) => `#/run/${root}/out/${name}`;

function say(run: string, step: number, text: string): void {
  const event = { event: "sample", time: "2026-01-05T08:00:00.000Z", step, prompt: "Where?", text };
  appendFileSync(join(folder, "out", run, "events.jsonl"), `${JSON.stringify(event)}\n`);
}

describe.skipIf(!isBuilt || findChromium() === undefined)(
  "comparing (npm run build; Chromium in PATH or CHROMIUM_PATH)",
  () => {
    beforeAll(async () => {
      for (const [i, name] of ["alpha", "beta"].entries())
        writeRun(join(folder, "out", name), { steps: 300 + i, seed: i + 1 });
      writeRun(join(folder, "out", "short"), { steps: 20, nanAt: 20 });
      for (const step of [100, 200, 300]) say("alpha", step, `alpha after ${step}`);
      say("beta", 300, "beta at last");
      for (let i = 0; i < 9; i++) writeRun(join(folder, "out", "many", `run-${i}`), { steps: 2 });
      writeEval(join(folder, "out", "eval-a"), "first", (_, i) => i % 3 === 0);
      writeEval(join(folder, "out", "eval-b"), "second", (_, i) => i % 2 === 0);
      studio = await startStudioProcess(folder, join(folder, "cache"));
      browser = await launchChromium();
    });
    afterAll(async () => {
      await browser?.close();
      await studio?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    test("runs are sorted by a column, a loss that is no number last either way", async () => {
      const { page, context } = await open("#/runs");
      const names = () => page.locator(".runs-table .name a").allTextContents();
      const byLoss = page.getByRole("button", { name: /^Loss/ });
      for (const sort of ["ascending", "descending"]) {
        await byLoss.click();
        expect(await page.locator(`th[aria-sort="${sort}"]`).textContent()).toMatch(/^Loss/);
        expect((await names()).at(-1)).toBe("short");
      }
      await page.getByRole("button", { name: /^Run/ }).click();
      expect((await names()).slice(0, 2)).toEqual(["alpha", "beta"]);
      await context.close();
    });

    test("more runs than there are colours cannot be ticked", async () => {
      const { page, context } = await open("#/runs");
      for (let i = 0; i < 8; i++) await page.getByLabel(`Compare ${root}/out/many/run-${i}`).check();
      await page.getByText("8 at most.").waitFor();
      expect(await page.getByLabel(`Compare ${root}/out/many/run-8`).isDisabled()).toBe(true);
      await context.close();
    });

    test("curves are found by their names, in a run and over several", async () => {
      const { page, context } = await open(address("alpha"));
      const titles = () => page.locator(".chart h3").allTextContents();
      await page.locator(".chart canvas").first().waitFor();
      await page.getByLabel("Find a curve").fill("norm");
      await page.waitForFunction(() => document.querySelectorAll(".chart").length === 1);
      expect((await titles())[0]).toContain("Gradient norm");
      const both = encodeURIComponent(`${root}/out/alpha\n${root}/out/beta`);
      await page.goto(`${studio.origin}/#/compare?runs=${both}`);
      await page.locator(".chart canvas").first().waitFor();
      await page.getByLabel("Find a curve").fill("loss hills");
      await page.waitForFunction(() => document.querySelectorAll(".chart").length === 1);
      expect((await titles())[0]).toContain("Loss of hills");
      await context.close();
    });

    test("other smoothing is asked for alone, and gives the line that a fresh page shows", async () => {
      const { page, context } = await open(address("alpha"));
      const label = () => page.locator('.chart [role="img"]').first().getAttribute("aria-label");
      await page.locator(".chart canvas").first().waitFor();
      const asked: string[] = [];
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      const before = await label();
      await page.getByLabel("Smooth").selectOption("200");
      await page.waitForFunction(
        (was) => document.querySelector('.chart [role="img"]')?.getAttribute("aria-label") !== was,
        before,
      );
      expect(asked.some((path) => path.endsWith("/smooth"))).toBe(true);
      const run = encodeURIComponent(`${root}/out/alpha`);
      const ask = async (what: string) => await (await studio.fetch(`/api/runs/${run}/${what}`)).json();
      const whole = (await ask("series?points=700&smooth=200")) as Reply<{ smooth: number[] }>;
      const alone = (await ask("smooth?points=700&smooth=200")) as Reply<number[]>;
      expect(alone.series.loss).toEqual(whole.series.loss!.smooth);
      expect(alone.version).toBe(whole.version);
      await context.close();
    });

    test("what a run says stands before and after; of several, the last answers side by side", async () => {
      const { page, context } = await open(address("alpha"));
      const sample = page.locator(".sample", { hasText: "Where?" });
      await sample.waitFor();
      expect(await sample.locator("> .answers").textContent()).toMatch(
        /alpha after 100[\s\S]*alpha after 300/,
      );
      await sample.getByText("1 between").click();
      expect(await sample.textContent()).toContain("alpha after 200");
      const both = encodeURIComponent(`${root}/out/alpha\n${root}/out/beta`);
      await page.goto(`${studio.origin}/#/compare?runs=${both}`);
      await page.getByText("beta at last").waitFor();
      expect(await page.locator(".sample", { hasText: "Where?" }).textContent()).not.toContain("after 100");
      await context.close();
    });

    test("J and K go through the items that two evaluations answer differently; a prompt of both stands once", async () => {
      const hash = `#/evals/flips?a=${root}%2Fout%2Feval-a&b=${root}%2Fout%2Feval-b&task=gsm8k`;
      const { page, context } = await open(hash);
      const rows = page.locator(".flips tbody tr");
      await rows.first().click();
      const dialog = page.getByRole("dialog");
      const title = dialog.getByRole("heading").first();
      const first = await title.textContent();
      await dialog.getByText("Prompt, as both got it").waitFor();
      expect(await dialog.getByText("Prompt, as the model got it").count()).toBe(0);
      await page.keyboard.press("j");
      await page.waitForFunction((was) => document.querySelector(".drawer h2")?.textContent !== was, first);
      await page.keyboard.press("k");
      await page.waitForFunction((was) => document.querySelector(".drawer h2")?.textContent === was, first);
      expect(await dialog.getByRole("button", { name: "Before: flip" }).isDisabled()).toBe(true);
      await context.close();
    });
  },
);

interface Reply<T> {
  version: string;
  series: Record<string, T>;
}
