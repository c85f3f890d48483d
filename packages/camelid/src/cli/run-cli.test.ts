import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { describe, expect, test, vi } from "vitest";
import { DataError } from "../errors.js";
import { formatChecks } from "../run/checks.js";
import { copyRecipe } from "./commands/copy.js";
import type { Verb } from "./commands.js";
import { cacheCheck, nodeCheck, spaceCheck } from "./doctor/system-checks.js";
import { runCli } from "./run-cli.js";

async function camelid(words: string[], verbs?: Verb[]) {
  const text = { out: "", err: "" };
  const streams = {
    out: (chunk: string) => {
      text.out += chunk;
    },
    err: (chunk: string) => {
      text.err += chunk;
    },
  };
  const code = await runCli(words, streams, verbs);
  process.exitCode = 0;
  return { code, ...text };
}

const verb = (name: string, action: () => void | Promise<void>): Verb => ({
  name,
  summary: `does ${name}`,
  group: "Look",
  load: vi.fn(async () => ({ command: () => new Command().action(action) })),
});

describe("the command line", () => {
  test("help and no words at all print the verbs within 80 columns, and load none of them", async () => {
    const verbs = [verb("look", () => {})];
    for (const words of [["--help"], ["-h"], ["help"], []]) {
      const { code, out, err } = await camelid(words, verbs);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toMatch(/look +does look/);
    }
    expect(verbs[0]!.load).not.toHaveBeenCalled();
    for (const line of (await camelid(["--help"])).out.split("\n"))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  test("every verb's module loads and has help", async () => {
    for (const name of ["copy", "run", "report", "doctor"]) {
      const { code, out } = await camelid(["help", name]);
      expect(code).toBe(0);
      expect(out).toContain(`Usage: camelid ${name}`);
    }
  });

  test("--version prints the version of the package", async () => {
    expect((await camelid(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("an unknown command gets a suggestion and exit code 2", async () => {
    const { code, err } = await camelid(["docter"]);
    expect(code).toBe(2);
    expect(err).toContain('SettingsError [ERR_UNKNOWN_COMMAND]: "docter" is not a command.');
    expect(err).toContain("did you mean `camelid doctor`?");
  });

  test.each([
    [["doctor", "--jsn"], "unknown option '--jsn'", "did you mean --json?"],
    [["report"], "missing required argument 'run'", "camelid report --help"],
    [["show"], "say which of its commands.", "camelid show --help"],
    [["--nope"], "unknown option '--nope'", "camelid --help"],
  ])("%o is told in the form of all errors, with exit code 2", async (words, message, fix) => {
    const { code, err } = await camelid(words);
    expect(code).toBe(2);
    expect(err).toContain(`SettingsError [ERR_USAGE]: ${message}`);
    expect(err).toContain(fix);
  });
});

describe("how a command ends decides the exit code", () => {
  const failing = (error: unknown) => [
    verb("look", () => {
      throw error;
    }),
  ];

  test("an error of ours prints what, where, fix, and no stack", async () => {
    const { code, err } = await camelid(
      ["look"],
      failing(new DataError("ERR_X", "bad row.", { where: "a:1", fix: "mend it." })),
    );
    expect(code).toBe(2);
    expect(err).toBe("DataError [ERR_X]: bad row.\n  where: a:1\n  fix:   mend it.\n");
  });

  test("an error with a format of its own, such as the engine's, is printed by it", async () => {
    const error = Object.assign(new Error("x"), {
      code: "ERR_SHAPE",
      format: () => "ShapeError [ERR_SHAPE]: x",
    });
    expect(await camelid(["look"], failing(error))).toMatchObject({
      code: 1,
      err: "ShapeError [ERR_SHAPE]: x\n",
    });
  });

  test("what the operating system refuses is told without a stack", async () => {
    const folder = mkdtempSync(join(tmpdir(), "camelid-cli-"));
    const { code, err } = await camelid(["look"], [verb("look", () => void readFileSync(folder))]);
    expect(code).toBe(1);
    expect(err).toBe(
      "SystemError [ERR_SYSTEM_EISDIR]: this is a folder, not a file.\n  where: read\n  fix:   name a file.\n",
    );
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
      path: "/full/train.jsonl",
    });
    expect((await camelid(["look"], failing(full))).err).toBe(
      "SystemError [ERR_SYSTEM_ENOSPC]: the disk is full.\n  where: /full/train.jsonl\n  fix:   make room and run the same command again.\n",
    );
  });

  test("an error nobody foresaw prints its stack and exits with 1", async () => {
    const { code, err } = await camelid(["look"], failing(new TypeError("x is undefined")));
    expect(code).toBe(1);
    expect(err).toMatch(/TypeError: x is undefined\n +at /);
  });

  test("an exit code set by the command is kept, and does not stay for the next", async () => {
    const verbs = [
      verb("look", () => {
        process.exitCode = 130;
      }),
      verb("see", () => {}),
    ];
    expect((await camelid(["look"], verbs)).code).toBe(130);
    expect((await camelid(["see"], verbs)).code).toBe(0);
  });
});

describe("copying a recipe", () => {
  /** A build of one recipe that imports a preset, as the compiler leaves it. */
  function build(): { folder: string; recipes: URL } {
    const folder = mkdtempSync(join(tmpdir(), "camelid-copy-"));
    const put = (name: string, source: string) => {
      mkdirSync(join(folder, "dist", "presets"), { recursive: true });
      writeFileSync(join(folder, "dist", `${name}.js`), "compiled");
      writeFileSync(join(folder, "dist", `${name}.js.map`), JSON.stringify({ sourcesContent: [source] }));
    };
    put("sft", 'import { a } from "./presets/tulu2.js";\nimport { z } from "zod";\nconst x: number = a;\n');
    put("presets/tulu2", 'import type { T } from "../sft.js";\nexport const a: number = 1;\n');
    return { folder, recipes: pathToFileURL(`${join(folder, "dist")}/`) };
  }

  test("writes the TypeScript source and what it imports, which then imports the copy", () => {
    const { folder, recipes } = build();
    const written = copyRecipe("sft", join(folder, "mine", "my-sft.ts"), recipes);
    expect(written).toEqual([join(folder, "mine", "my-sft.ts"), join(folder, "mine", "presets", "tulu2.ts")]);
    expect(readFileSync(written[0]!, "utf8")).toContain("const x: number = a;");
    expect(readFileSync(written[1]!, "utf8")).toContain('from "../my-sft.js";\nexport const a');
  });

  test("replaces no file, and then writes none", () => {
    const { folder, recipes } = build();
    mkdirSync(join(folder, "presets"));
    writeFileSync(join(folder, "presets", "tulu2.ts"), "mine");
    expect(() => copyRecipe("sft", join(folder, "my-sft.ts"), recipes)).toThrowError(
      expect.objectContaining({ code: "ERR_FILE_EXISTS", where: join(folder, "presets", "tulu2.ts") }),
    );
    expect(existsSync(join(folder, "my-sft.ts"))).toBe(false);
  });

  test("an unknown recipe gets a suggestion", () => {
    const { folder, recipes } = build();
    expect(() => copyRecipe("stf", join(folder, "x.ts"), recipes)).toThrowError(
      expect.objectContaining({
        code: "ERR_UNKNOWN_RECIPE",
        fix: expect.stringContaining('did you mean "sft"?'),
      }),
    );
  });

  test("a recipe file that is not there is one clear error", async () => {
    const { code, err } = await camelid(["run", "./no-such-recipe.ts", "--model", "x"]);
    expect(code).toBe(2);
    expect(err).toContain("SettingsError [ERR_RECIPE_FILE]");
  });
});

describe("doctor", () => {
  test("fits 80 columns, marks what failed and says how to fix it", () => {
    const text = formatChecks([
      {
        heading: "System",
        checks: [
          { name: "Node.js", status: "ok", detail: "20.20.2" },
          {
            name: "cache",
            status: "fail",
            detail: `/a/very/long/path${"/x".repeat(60)} cannot be written`,
            fix: "set CAMELID_CACHE to a folder you may write, on a disk that has room.",
          },
        ],
      },
      {
        heading: "Engine",
        checks: [{ name: "libtorch", status: "warn", detail: "2.10", fix: "2.11 or later." }],
      },
    ]);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toMatch(/ {2}FAIL {2}cache/);
    expect(text).toContain("-> set CAMELID_CACHE");
    expect(text).toContain("1 of 3 checks failed");
  });

  test.each([
    ["18.20.0", "fail"],
    ["20.18.1", "fail"],
    ["20.19.0", "ok"],
    ["24.0.0", "ok"],
  ])("Node %s is %s", (version, status) => {
    expect(nodeCheck(version).status).toBe(status);
  });

  test.each([
    [1, "fail"],
    [5, "warn"],
    [50, "ok"],
  ])("%i GiB of free disk is %s", (gib, status) => {
    expect(spaceCheck(gib * 2 ** 30).status).toBe(status);
  });

  test("a cache that would be made later is checked where it would be, and nothing is left there", async () => {
    const folder = mkdtempSync(join(tmpdir(), "camelid-doctor-"));
    expect(await cacheCheck(join(folder, "a", "b"))).toMatchObject({
      status: "ok",
      detail: expect.stringContaining("not there yet"),
    });
    expect(existsSync(join(folder, "a"))).toBe(false);
    writeFileSync(join(folder, "file"), "");
    expect(await cacheCheck(join(folder, "file"))).toMatchObject({
      status: "fail",
      fix: expect.stringContaining("CAMELID_CACHE"),
    });
  });

  test("as JSON it gives every check", async () => {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    await camelid(["doctor", "--json"]);
    const { sections } = JSON.parse(String(write.mock.calls[0]![0]));
    write.mockRestore();
    expect(sections[0].checks.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(["Node.js", "cache", "disk", "memory", "cores", "compiler"]),
    );
  });
});
