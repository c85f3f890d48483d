import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { SettingsError } from "../../errors.js";
import { Interrupt } from "../../run/interrupt.js";
import { startStudio } from "../../studio/server.js";
import { builtRecipeNames, loadBuiltRecipe } from "../load-recipe.js";

interface StudioFlags {
  port: number;
  open: boolean;
}

export function command(): Command {
  return new Command("studio")
    .description(
      "Opens a local web page over runs, mixtures and evaluations. It listens on this machine only and shows nothing outside\nthe folders named; the address holds a key.",
    )
    .argument("[folders...]", "folders to look through; default: the current one")
    .option("--port <n>", "port to listen on; 0 takes a free one", portNumber, 0)
    .option("--no-open", "do not open a browser")
    .action(async (folders: string[], flags: StudioFlags) => {
      await serve(folders.length === 0 ? ["."] : folders, flags);
    });
}

async function serve(roots: string[], { port, open }: StudioFlags): Promise<void> {
  await using studio = await startStudio({ roots, port, launching });
  process.stdout.write(
    `Studio over ${roots.join(", ")}\n  ${studio.url}\nCtrl+C ends it; training that it started goes on.\n`,
  );
  if (open && process.stdout.isTTY) openBrowser(studio.url);
  using interrupt = new Interrupt({ say: () => {} });
  await new Promise((resolve) => interrupt.signal.addEventListener("abort", resolve));
}

/** Runs are started as a person would: with the program that is running now. A mixture's sources are a file, and no form. */
const launching = {
  program: [process.execPath, fileURLToPath(new URL("../main.js", import.meta.url))] as const,
  recipes: [...builtRecipeNames().filter((name) => name !== "mix"), "eval"],
  plannable: ["sft", "dpo"],
  load: async (name: string) =>
    name === "eval" ? (await import("./eval.js")).evalRecipe : await loadBuiltRecipe(name),
};

/** Best effort: on a machine without a desktop the address stands on the terminal. */
function openBrowser(url: string): void {
  const opener = { darwin: "open", win32: "explorer" }[process.platform as string] ?? "xdg-open";
  const child = spawn(opener, [url], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}

function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new SettingsError("ERR_USAGE", `"${text}" is not a port.`, { fix: "give a number from 0 to 65535." });
}
