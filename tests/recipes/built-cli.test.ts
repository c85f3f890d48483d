import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const main = fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));

/** Runs the built command as a user does. */
function camelid(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...words], (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });
}

describe.skipIf(!existsSync(main))("the built command", () => {
  test("prints its help and version", async () => {
    expect((await camelid("--help")).out).toContain("Usage: camelid <command>");
    expect(await camelid("--version")).toMatchObject({ code: 0, err: "" });
  });

  test("exits with 2 and one clear error when sft is called without what it needs", async () => {
    const { code, out, err } = await camelid("sft", "--lr", "1");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("--lr is not a flag of `camelid sft`: did you mean --learning-rate?");
    expect(err).toContain("model is missing");
  });

  test("prints the settings of a Tulu 2 preset with their origins", async () => {
    const places = ["--model", "m", "--data", "d", "--out", "o"];
    const { code, out } = await camelid(
      "sft",
      "--preset",
      "tulu2-7b",
      ...places,
      "--print-settings",
      "--json",
    );
    expect(code).toBe(0);
    const { settings, origins } = JSON.parse(out);
    expect(settings.learningRate).toBe(2e-5);
    expect(origins.learningRate).toEqual({ source: "preset", detail: "tulu2-7b" });
  });

  const readsTypeScript = Number(process.versions.node.split(".")[0]) >= 22;
  const source = fileURLToPath(new URL("./fixtures/tiny.ts", import.meta.url));
  test.skipIf(readsTypeScript)(
    "says how to run TypeScript where neither Node.js nor its project can",
    async () => {
      const alone = join(mkdtempSync(join(tmpdir(), "camelid-alone-")), "tiny.ts");
      copyFileSync(source, alone);
      const { code, err } = await camelid("run", alone);
      expect(code).toBe(2);
      expect(err).toContain("SettingsError [ERR_RECIPE_FILE]");
      expect(err).toMatch(/npm install --save-dev typescript.*npx esbuild \S+tiny\.ts --bundle/s);
    },
  );

  test("runs TypeScript with the compiler of its project", async () => {
    const { code, out } = await camelid("run", source, "--help");
    expect(code).toBe(0);
    expect(out).toMatch(/^Usage: tiny /);
  });

  test("copies the source of sft as it stands in recipes/", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "camelid-copy-")), "mine.ts");
    expect((await camelid("copy", "sft", file)).code).toBe(0);
    const original = fileURLToPath(new URL("../../recipes/sft.ts", import.meta.url));
    expect(readFileSync(file, "utf8")).toBe(readFileSync(original, "utf8"));
  });
});
