/** Every view in a real browser, over generated runs, a mixture and evaluations. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium, launchChromium, openView } from "./browser.js";
import { appendStep, writeRun } from "./generated.js";
import { isBuilt, type StudioProcess, startStudioProcess } from "./studio-process.js";
import { writeWorkspace } from "./workspace.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-views-"));
const root = folder.split("/").at(-1)!;
let studio: StudioProcess;
let browser: Browser;

const views = {
  runs: "#/runs",
  run: `#/run/${root}/out/steady`,
  "a step and a row": `#/run/${root}/out/steady?step=77&row=3`,
  "a failed run": `#/run/${root}/out/nan`,
  compare: `#/compare?runs=${encodeURIComponent(`${root}/out/steady\n${root}/out/hot`)}`,
  data: "#/data",
  mixture: `#/data/${root}/mix`,
  rows: `#/data/${root}/mix?tab=rows&row=4`,
  sql: `#/data/${root}/mix?tab=sql`,
  arena: "#/preferences",
  votes: "#/preferences?tab=votes",
  pairs: "#/preferences?tab=pairs",
  evals: "#/evals?table=1",
  evaluation: `#/evals/${root}/out/eval-base`,
  items: `#/evals/${root}/out/eval-base?task=gsm8k&item=2`,
  flips: `#/evals/flips?a=${root}%2Fout%2Feval-base&b=${root}%2Fout%2Feval-tuned`,
  chat: `#/chat?b=${root}/second/model`,
  train: "#/train?recipe=dpo",
};

/** Text of the page once it holds `words`. */
async function waitForText(page: Page, words: string): Promise<void> {
  await page.getByText(words, { exact: false }).first().waitFor();
}

describe.skipIf(!isBuilt || findChromium() === undefined)(
  "in Chromium (npm run build; Chromium in PATH or CHROMIUM_PATH)",
  () => {
    beforeAll(async () => {
      await writeWorkspace(folder);
      studio = await startStudioProcess(folder, join(folder, "cache"));
      browser = await launchChromium();
    });
    afterAll(async () => {
      await browser?.close();
      await studio?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    for (const [dark, narrow] of [
      [false, false],
      [true, true],
    ] as const) {
      test(`every view, ${dark ? "dark" : "light"} and ${narrow ? "390" : "1280"} pixels wide: no fault, no request elsewhere, nothing to scroll sideways, a name on every control`, async () => {
        const { page, context, faults } = await openView(browser, studio.url, {
          hash: views.runs,
          dark,
          narrow,
        });
        for (const [name, hash] of Object.entries(views)) {
          await page.evaluate((to) => {
            location.hash = to;
          }, hash);
          await page.waitForTimeout(150);
          await page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null);
          expect(faults, name).toEqual([]);
          expect(
            await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
            `${name}: width`,
          ).toBeLessThanOrEqual(0);
          expect(await page.evaluate(unnamedControls), `${name}: names`).toEqual([]);
          expect(await page.locator("h1").count(), name).toBe(1);
        }
        await context.close();
      });
    }

    test("runs are shown as what they are", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: views.runs });
      const statusOf = async (name: string) =>
        await page
          .locator("tr", { has: page.getByRole("link", { name, exact: true }) })
          .locator(".status:visible")
          .textContent();
      expect(await statusOf("steady")).toBe("complete");
      expect(await statusOf("nan")).toBe("failed");
      expect(await statusOf("cut")).toBe("cut off");
      expect(await statusOf("empty")).toBe("empty");
      await page.getByRole("link", { name: "nan", exact: true }).click();
      await waitForText(page, "NaN at step 30");
      await page.goto(`${studio.origin}/#/run/${root}/out/newer`);
      await waitForText(page, "moon-phase (1)");
      await context.close();
    });

    test("a run that goes on is followed, and its end is seen", async () => {
      writeRun(join(folder, "out", "live"), { steps: 10, total: 20 });
      const { page, context } = await openView(browser, studio.url, { hash: `#/run/${root}/out/live` });
      await waitForText(page, "of 20");
      for (let step = 11; step <= 20; step++) appendStep(join(folder, "out", "live"), step, 0.5);
      await page.waitForFunction(() =>
        /steps 1 to 20/.test(document.querySelector('[role="img"]')?.getAttribute("aria-label") ?? ""),
      );
      rmSync(join(folder, "out", "live"), { recursive: true });
      await context.close();
    });

    test("a click on the spike leads to its step, its rows, and the label of each token with its reason", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: views.run });
      const plot = page.locator(".chart").first().locator(".u-over");
      await plot.waitFor();
      const box = (await plot.boundingBox())!;
      // Step 77 of 1 to 120.
      await page.mouse.move(box.x + (box.width * 76) / 119, box.y + 40);
      await page.mouse.click(box.x + (box.width * 76) / 119, box.y + 40);
      const drawer = page.getByRole("dialog");
      await drawer.getByRole("heading", { name: "Step 77" }).waitFor();
      await drawer.locator("tr.go").first().click();
      const strip = drawer.locator(".strip");
      await strip.waitFor();
      await strip.focus();
      const note = drawer.locator(".token-note");
      await page.keyboard.press("ArrowRight");
      expect(await note.textContent()).toContain("not trained");
      expect(await note.textContent()).toContain("nothing comes before it");
      const trained = strip.locator(".tok.t").first();
      await trained.hover();
      expect(await note.textContent()).toContain("part of the answer: the model learns to say it");
      await strip.locator(".tok.u").first().hover();
      expect(await note.textContent()).toContain("written by the user: read, not learned");
      await page.keyboard.press("Escape");
      expect(await drawer.count()).toBe(0);
      await context.close();
    });

    test("two runs over each other, with the settings that differ", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: views.runs });
      await page.getByLabel(`Compare ${root}/out/steady`).check();
      await page.getByLabel(`Compare ${root}/out/hot`).check();
      await page.getByRole("button", { name: "Compare 2" }).click();
      const row = page.locator("tr", { hasText: "learningRate" });
      await row.waitFor();
      expect(await row.textContent()).toMatch(/0\.001.*0\.01|0\.01.*0\.001/);
      await context.close();
    });

    test("what a model or a row says is text, never markup", async () => {
      const { page, context, faults } = await openView(browser, studio.url, { hash: views.run });
      await waitForText(page, "<img src=x onerror=alert(1)>");
      expect(await page.locator("img").count()).toBe(0);
      expect(faults).toEqual([]);
      await context.close();
    });

    test("the mixture's books, a search, a row, a query", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: views.mixture });
      await waitForText(page, "What became of every row");
      await waitForText(page, "the filter found");
      await page.getByRole("link", { name: /^Rows/ }).click();
      const third = await page.waitForFunction(
        () => /hill \d+\?/.exec(document.querySelectorAll(".list .row")[2]?.textContent ?? "")?.[0],
      );
      const question = (await third.jsonValue())!;
      await page.getByLabel("Find rows").fill(question);
      await page.locator('[role="status"]', { hasText: /^1 row$/ }).waitFor();
      await page.locator(".list .row").first().click();
      await page.getByRole("dialog").locator(".strip .tok.t").first().waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("link", { name: "SQL" }).click();
      await page.getByLabel("Query").fill("SELECT count(*) AS n FROM rows");
      await page.keyboard.press("Control+Enter");
      const cell = page.locator("td.num").first();
      await cell.waitFor();
      expect(Number((await cell.textContent())!.replaceAll(",", ""))).toBeGreaterThan(200);
      await page.getByLabel("Query").fill("SELECT * FROM read_text('/etc/passwd')");
      await page.keyboard.press("Control+Enter");
      await page.getByRole("alert").waitFor();
      expect(await page.getByRole("alert").textContent()).toContain("disabled by configuration");
      await context.close();
    });

    test("the list of rows works from the keyboard", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: `#/data/${root}/mix?tab=rows` });
      await page.locator(".list .row").first().waitFor();
      await page.locator(".list").focus();
      await page.keyboard.press("End");
      await page.waitForFunction(
        () => document.querySelector('.list [aria-selected="true"] .soft')?.textContent !== "…",
      );
      await page.keyboard.press("Enter");
      const dialog = page.getByRole("dialog");
      await dialog.waitFor();
      expect(
        Number((await dialog.getByRole("heading").first().textContent())!.replace(/\D/g, "")),
      ).toBeGreaterThan(200);
      await context.close();
    });

    test("items that two evaluations answer differently", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: "#/evals" });
      await page.getByLabel(`Compare ${root}/out/eval-base`).check();
      await page.getByLabel(`Compare ${root}/out/eval-tuned`).check();
      await page.getByRole("button", { name: "Compare items of two" }).click();
      await page.locator(".flips tbody tr").first().waitFor();
      const figure = async (name: string) =>
        await page
          .locator(".figures div", { has: page.getByText(name, { exact: true }) })
          .locator("dd")
          .textContent();
      const [gained, lost] = [Number(await figure("gained")), Number(await figure("lost"))];
      expect(await page.locator(".flips tbody tr").count()).toBe(gained + lost);
      await page.locator(".flips tbody tr").first().click();
      expect(await page.getByRole("dialog").locator("section").count()).toBe(2);
      await context.close();
    });

    test("a wrong setting is told at its field, in the words of the command line", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: "#/train?recipe=sft" });
      const field = page.getByLabel("learningRate", { exact: true });
      await field.fill("fast");
      const alert = page.locator(".knob.wrong [role=alert]");
      await alert.waitFor();
      expect(await alert.textContent()).toContain('expected a number above 0, got "fast"');
      expect(await field.getAttribute("aria-invalid")).toBe("true");
      await field.fill("2e-4");
      await page.waitForFunction(() => document.querySelector(".knob.wrong") === null);
      expect(await page.locator(".command").textContent()).toContain("--set learningRate=2e-4");
      await context.close();
    });

    test("digits change the view, and the choice of colours is kept", async () => {
      const { page, context } = await openView(browser, studio.url, { hash: "#/runs" });
      await page.keyboard.press("2");
      await page.getByRole("heading", { name: "Data", exact: true }).waitFor();
      await page.getByLabel("Colours").selectOption("dark");
      await page.reload();
      expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe("dark");
      await context.close();
    });
  },
);

/** Controls that a screen reader could only call "button" or "edit". Runs in the page. */
function unnamedControls(): string[] {
  const controls = [...document.querySelectorAll<HTMLElement>("a, button, input, select, textarea")];
  const named = (element: HTMLElement) =>
    (element.textContent ?? "").trim() !== "" && !/^(SELECT|TEXTAREA)$/.test(element.tagName)
      ? true
      : element.getAttribute("aria-label") !== null ||
        ((element as HTMLInputElement).labels?.length ?? 0) > 0;
  return controls.filter((element) => !named(element)).map((element) => element.outerHTML.slice(0, 120));
}
