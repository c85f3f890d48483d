/** A real Chromium, where there is one: tests that need it skip, visibly, where there is none. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** `CHROMIUM_PATH`, else the first that PATH has. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM_PATH;
  const places = named
    ? [named]
    : (process.env.PATH ?? "").split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return places.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function launchChromium(): Promise<Browser> {
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
  return chromium.launch({
    executablePath: findChromium()!,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", ...quiet],
  });
}

export interface View {
  page: Page;
  context: BrowserContext;
  /** Everything that went wrong or went elsewhere: console errors, exceptions, requests to other hosts. */
  faults: string[];
}

/** A new page on the Studio, key already shown. */
export async function openView(
  browser: Browser,
  url: string,
  { hash = "", dark = false, narrow = false }: { hash?: string; dark?: boolean; narrow?: boolean } = {},
): Promise<View> {
  const context = await browser.newContext({
    viewport: narrow ? { width: 390, height: 844 } : { width: 1280, height: 860 },
    colorScheme: dark ? "dark" : "light",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults: string[] = [];
  const own = new URL(url).origin;
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(own) && !request.url().startsWith("data:"))
      faults.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  if (hash !== "") {
    await page.goto(`${own}/${hash}`);
    await page.waitForSelector(".page h1");
  }
  return { page, context, faults };
}
