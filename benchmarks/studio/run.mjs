/**
 * How quick the Studio is, measured in Chromium: time to the first paint with content, and from an input to the frame that
 * shows its effect. Inputs are made up once (a run of 100,000 steps, a mixture of 300,000 rows) and kept.
 *   npm run build && node benchmarks/studio/run.mjs [--folder DIR] [--steps N] [--rows N]
 * The limits: 1 s to the first paint, 100 ms for an interaction.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { makeInputs } from "./make-inputs.mjs";

const { values } = parseArgs({
  options: { folder: { type: "string" }, steps: { type: "string" }, rows: { type: "string" } },
});
const folder = values.folder ?? join(tmpdir(), "camelid-studio-bench");
const [steps, rows] = [Number(values.steps ?? 100_000), Number(values.rows ?? 300_000)];
const main = fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));
const root = folder.split("/").at(-1);

console.log(`inputs: ${steps} steps, ${rows} rows`);
await makeInputs(folder, steps, rows);
const cache = join(folder, ".cache");
rmSync(cache, { recursive: true, force: true });
const { child, url } = await startStudio();
const origin = new URL(url).origin;
const browser = await chromium.launch({
  executablePath: findChromium(),
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const results = [];

await measurePages();
await measureRun();
await measureRows();
await browser.close();
child.kill("SIGINT");

console.log("");
for (const { name, ms, limit } of results)
  console.log(
    `${name.padEnd(58)} ${ms.toFixed(0).padStart(6)} ms  ${limit === undefined ? "" : ms <= limit ? "ok" : `over ${limit} ms`}`,
  );
process.exitCode = results.some(({ ms, limit }) => limit !== undefined && ms > limit) ? 1 : 0;

/** First visits, each in a new browser context: nothing is cached but what the server keeps. */
async function measurePages() {
  const views = [
    ["list of runs", "#/runs", ".runs-table tbody tr"],
    [`run of ${steps} steps, curves drawn`, `#/run/${root}/out/run-${steps}`, ".chart canvas"],
    ["the same again", `#/run/${root}/out/run-${steps}`, ".chart canvas"],
    [`books of ${rows} rows`, `#/data/${root}/mix-${rows}`, ".flow, table"],
  ];
  for (const [name, hash, shown] of views) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    const page = await context.newPage();
    await page.goto(url); // the key becomes a cookie
    await page.goto("about:blank");
    const started = performance.now();
    await page.goto(`${origin}/${hash}`);
    await page.waitForSelector(shown);
    const ms = performance.now() - started;
    const paint = await page.evaluate(
      () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN,
    );
    add(`${name}: first contentful paint`, paint, 1000);
    add(`${name}: its content is there`, ms, 1000);
    await context.close();
  }
}

async function measureRun() {
  const { page, context } = await open(`#/run/${root}/out/run-${steps}`, ".chart canvas");
  await page.waitForFunction(() => !document.body.textContent.includes("Reading the run"), undefined, {
    timeout: 60_000,
  });
  const version = () =>
    page.evaluate(() => document.querySelector('[role="img"]').getAttribute("aria-label"));
  add(
    "run: other smoothing",
    await until(
      page,
      async () => page.selectOption(".fields select", "200"),
      (label) => document.querySelector('[role="img"]').getAttribute("aria-label") !== label,
      await version(),
    ),
    100,
  );
  const plot = await page.locator(".u-over").first().boundingBox();
  const before = await version();
  await page.mouse.move(plot.x + plot.width * 0.55, plot.y + 50);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.65, plot.y + 50);
  add(
    "run: closer by dragging",
    await until(
      page,
      () => page.mouse.up(),
      (label) => document.querySelector('[role="img"]').getAttribute("aria-label") !== label,
      before,
    ),
    100,
  );
  add(
    "run: a click opens the step with its 32 rows",
    await until(
      page,
      () => page.mouse.click(plot.x + plot.width * 0.5, plot.y + 60),
      () => document.querySelectorAll(".drawer tr.go").length === 32,
    ),
    100,
  );
  await page.keyboard.press("Escape");
  add(
    "run: another step",
    await until(
      page,
      () => page.mouse.click(plot.x + plot.width * 0.3, plot.y + 60),
      () => document.querySelectorAll(".drawer tr.go").length === 32,
    ),
    100,
  );
  await context.close();
}

async function measureRows() {
  const started = performance.now();
  const { page, context } = await open(`#/data/${root}/mix-${rows}?tab=rows`, ".list");
  await page.waitForFunction(
    (total) => document.querySelector('.fields [role="status"]')?.textContent.startsWith(total),
    rows.toLocaleString("en"),
    { timeout: 300_000 },
  );
  add(`rows: ${rows} rows put into a table, once`, performance.now() - started, undefined);
  await page.waitForFunction(() => document.querySelectorAll(".list .row").length > 10);
  const scroll = (share) =>
    page.evaluate((to) => {
      const list = document.querySelector(".list");
      list.scrollTop = list.scrollHeight * to;
    }, share);
  for (const share of [0.5, 0.9, 0.1])
    add(
      `rows: a jump to ${100 * share} %`,
      await until(
        page,
        () => scroll(share),
        () =>
          ![...document.querySelectorAll(".list .row")].some((row) => row.textContent === "…") &&
          document.querySelectorAll(".list .row").length > 10,
      ),
      100,
    );
  add(
    "rows: sorted by length",
    await until(
      page,
      () => page.getByLabel("Sort by Characters").click(),
      (was) =>
        document.querySelector(".list-head").textContent.includes("↑") &&
        document.querySelector(".list .row")?.textContent !== was &&
        ![...document.querySelectorAll(".list .row")].some((row) => row.textContent === "…"),
      await page.locator(".list .row").first().textContent(),
    ),
    100,
  );
  add(
    "rows: one opened, with its text",
    await until(
      page,
      () => page.locator(".list .row").first().click(),
      () => document.querySelector(".drawer .turn p") !== null,
    ),
    100,
  );
  await page.keyboard.press("Escape");
  while (!readdirSync(join(cache, "studio")).some((name) => name.endsWith(".trigrams")))
    await page.waitForTimeout(50);
  add("rows: every text made searchable, once", performance.now() - started, undefined);
  add(
    "rows: a word that is in one row, found",
    await until(
      page,
      () => page.getByLabel("Find rows").fill("needle-in-the-hay"),
      () => /^1 row$/.test(document.querySelector('.fields [role="status"]').textContent.trim()),
    ),
    100,
  );
  add(
    "rows: a word that is in most rows, the first of them",
    await until(
      page,
      () => page.getByLabel("Find rows").fill("stone"),
      () => /rows so far|,\d+ rows$/.test(document.querySelector('.fields [role="status"]').textContent),
    ),
    100,
  );
  add(
    "rows: the same, all of them counted",
    await until(
      page,
      () => page.getByLabel("Find rows").fill("quiet"),
      () => /^\d+,\d+ rows$/.test(document.querySelector('.fields [role="status"]').textContent.trim()),
    ),
    undefined,
  );
  await context.close();
}

/** From the input to two frames after `holds` is true: what a person waits for. */
async function until(page, act, holds, argument) {
  // A function of ours, put there by the debugger's protocol: the page's own policy allows no eval.
  await page.evaluate(`window.holds = ${String(holds)}`);
  await page.evaluate((value) => {
    window.waited = new Promise((resolve) => {
      let started;
      const look = () => {
        if (window.holds(value)) requestAnimationFrame(() => resolve(performance.now() - started));
        else requestAnimationFrame(look);
      };
      const begin = () => {
        if (started !== undefined) return;
        started = performance.now();
        requestAnimationFrame(look);
      };
      for (const kind of ["pointerup", "change", "input", "scroll", "click"]) {
        addEventListener(kind, begin, { capture: true, once: true });
      }
    });
  }, argument);
  await act();
  return await page.evaluate(() => window.waited);
}

async function open(hash, shown) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  const page = await context.newPage();
  await page.goto(url);
  await page.goto(`${origin}/${hash}`);
  await page.waitForSelector(shown);
  await page.waitForTimeout(300);
  return { page, context };
}

function add(name, ms, limit) {
  results.push({ name, ms, limit });
  console.log(`${name}: ${ms.toFixed(0)} ms`);
}

async function startStudio() {
  const child = spawn(process.execPath, [main, "studio", folder, "--no-open"], {
    env: { ...process.env, CAMELID_CACHE: cache },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const text of child.stdout) {
    const url = /http:\S+/.exec(String(text))?.[0];
    if (url !== undefined) return { child, url };
  }
  throw new Error("camelid studio ended");
}

function findChromium() {
  const places = process.env.CHROMIUM_PATH
    ? [process.env.CHROMIUM_PATH]
    : process.env.PATH.split(delimiter).flatMap((path) =>
        ["chromium", "chromium-browser", "google-chrome"].map((name) => join(path, name)),
      );
  return places.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
