import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Preset, readRun } from "camelid";
import { beforeEach, describe, expect, test } from "vitest";
import { type Verb, verbs } from "../../packages/camelid/src/cli/commands.js";
import { recipeCommand } from "../../packages/camelid/src/cli/recipe-command.js";
import { runCli } from "../../packages/camelid/src/cli/run-cli.js";
import * as tiny from "./fixtures/tiny.js";

const verb: Verb = {
  name: "tiny",
  summary: "a recipe in miniature",
  group: "Train",
  load: async () => ({ command: () => recipeCommand("tiny", tiny) }),
};

let folder: string;
let out: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "camelid-recipe-"));
  out = join(folder, "run");
});

/** Runs `camelid tiny ...` in this process. */
async function camelid(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const text = { out: "", err: "" };
  const stdout = process.stdout.write;
  process.stdout.write = (chunk: string | Uint8Array) => {
    text.out += String(chunk);
    return true;
  };
  try {
    const streams = {
      out: (chunk: string) => (text.out += chunk),
      err: (chunk: string) => (text.err += chunk),
    };
    const code = await runCli(words, streams as never, [verb, ...verbs]);
    return { code, ...text };
  } finally {
    process.stdout.write = stdout;
    process.exitCode = 0;
  }
}

describe("a recipe becomes a command", () => {
  test("preset, file, --set and flags reach it, and settings.json tells where each value came from", async () => {
    const file = join(folder, "mine.yaml");
    writeFileSync(file, "learningRate: 0.25\nlora:\n  rank: 2\n");
    const { code } = await camelid(
      ...[
        "tiny",
        "--out",
        out,
        "--preset",
        "slow",
        "--config",
        file,
        "--set",
        "lora.alpha=4",
        "--max-steps",
        "5",
      ],
    );
    expect(code).toBe(0);
    const { $provenance, ...settings } = JSON.parse(readFileSync(join(out, "settings.json"), "utf8"));
    expect(settings).toMatchObject({
      learningRate: 0.25,
      maxSteps: 5,
      packing: false,
      lora: { rank: 2, alpha: 4, dropout: 0 },
    });
    expect($provenance.recipe).toBe("tiny");
    expect($provenance.origins).toMatchObject({
      out: { source: "flag", detail: "--out" },
      maxSteps: { source: "flag", detail: "--max-steps" },
      "lora.alpha": { source: "set" },
      learningRate: { source: "file", detail: `${file}:1` },
      "lora.rank": { source: "file", detail: `${file}:3` },
      packing: { source: "preset", detail: "slow" },
      "lora.dropout": { source: "default" },
    });
    expect(await readRun(out)).toMatchObject({ status: "completed", steps: { length: 5 } });
  });

  test("a run's settings.json starts the same run again", async () => {
    await camelid("tiny", "--out", out, "--preset", "slow");
    const again = join(folder, "again");
    expect((await camelid("tiny", "--config", join(out, "settings.json"), "--out", again)).code).toBe(0);
    const losses = async (path: string) => (await readRun(path)).steps.map(({ loss }) => loss);
    expect(await losses(again)).toEqual(await losses(out));
  });

  test("the effective settings are printed before anything happens", async () => {
    const printed = await camelid("tiny", "--out", out, "--print-settings", "--betas", "0.9,0.99");
    expect(printed.out).toMatch(/betas +0\.9,0\.99 +--betas\n/);
    expect(printed.out).toMatch(/learningRate +0\.5 +default\n/);
    expect(existsSync(out)).toBe(false);
    const json = JSON.parse((await camelid("tiny", "--out", out, "--print-settings", "--json")).out);
    expect(json.settings.learningRate).toBe(0.5);
  });

  test.each([
    [["--packing"], true],
    [["--packing", "false"], false],
  ])("a switch takes %o", async (words, expected) => {
    const { out: printed } = await camelid(
      "tiny",
      "--out",
      out,
      "--print-settings",
      "--json",
      "--preset",
      "slow",
      ...words,
    );
    expect(JSON.parse(printed).settings.packing).toBe(expected);
  });

  test("one Ctrl+C stops after the step, keeps the run and exits with 130", async () => {
    process.env.CAMELID_TEST_SIGNAL_AT = "2";
    const { code } = await camelid("tiny", "--out", out, "--max-steps", "1000");
    delete process.env.CAMELID_TEST_SIGNAL_AT;
    expect(code).toBe(130);
    const record = await readRun(out);
    expect(record.status).toBe("interrupted");
    expect(record.steps.length).toBeLessThan(1000);
  });

  test("--resume takes the settings of the run it continues", async () => {
    await camelid("tiny", "--out", out, "--preset", "slow");
    const { code, out: printed } = await camelid(
      "tiny",
      "--out",
      out,
      "--resume",
      "--max-steps",
      "4",
      "--print-settings",
    );
    expect(code).toBe(0);
    expect(printed).toMatch(new RegExp(`learningRate +0.1 +checkpoint ${out.slice(0, 10)}`));
    expect(printed).toMatch(/maxSteps +4 +--max-steps/);
  });

  test("a recipe that cannot resume has no --resume", async () => {
    const plain: Verb = {
      ...verb,
      load: async () => ({ command: () => recipeCommand("tiny", { ...tiny, resumable: false }) }),
    };
    const err: string[] = [];
    const streams = { out: () => {}, err: (text: string) => void err.push(text) };
    expect(await runCli(["tiny", "--out", out, "--resume"], streams, [plain])).toBe(2);
    expect(err.join("")).toContain("--resume is not a flag of `camelid tiny`");
  });

  test("a recipe file of one's own runs by its path", async () => {
    const file = fileURLToPath(new URL("./fixtures/tiny.ts", import.meta.url));
    expect((await camelid("run", file, "--out", out, "--max-steps", "2")).code).toBe(0);
    expect(await readRun(out)).toMatchObject({ status: "completed", provenance: { recipe: "tiny" } });
    expect((await camelid("run", file, "--out", out, "--lr", "2")).err).toContain(
      "did you mean --learning-rate?",
    );
  });

  test("its help fits 80 columns and shows every knob with type, default and meaning", async () => {
    const { code, out: help } = await camelid("tiny", "--help");
    expect(code).toBe(0);
    for (const line of help.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(help).toMatchInlineSnapshot(`
      "Usage: camelid tiny --out <folder> [options]

      Where values come from (a flag beats --set, then --config, then --preset):
        --preset <name>                  One of slow, slow-long
        --config <file>                  JSON or YAML file of settings; a run's
                                         settings.json is one
        --set <key=value>                One setting, such as learningRate=1e-5; may
                                         be repeated
        --print-settings                 Print the effective settings and where each
                                         comes from, and stop
        --json                           Progress as JSON lines, for programs
        --resume                         Continue the run in --out from its last
                                         checkpoint
        -h, --help                       Print this

      Model and data:
        --out <folder>                   Run folder to create; it must be new or empty
                                         [required]

      Optimizer and schedule:
        --learning-rate <number>         Peak learning rate [0.5]
        --betas <a,b>                    Decay of AdamW's running mean and variance
                                         [0.9,0.999]

      Batch and length:
        --max-steps <number>             Stop after this many optimizer steps; none
                                         lets epochs decide [none]
        --packing [true|false]           Lay several rows end to end; rows never see
                                         each other, so results are those of unpacked
                                         rows [true]

      LoRA:
        --lora-rank <number>             Rank of the adapters [16]
        --lora-alpha <number>            Adapters are scaled by alpha / rank [32]
        --lora-dropout <number>          Dropout before the adapters [0]
        --lora-target-modules <a,b,...>  Linear layers that get an adapter [q_proj,
                                         k_proj, v_proj, o_proj, gate_proj, up_proj,
                                         down_proj]
        --lora-rslora [true|false]       Scale adapters by alpha / sqrt(rank) instead
                                         [false]
      "
    `);
  });
});

describe("wrong commands give one clear error, exit code 2, and write nothing", () => {
  test("unknown flags, unknown keys and wrong values are told together", async () => {
    const { code, err } = await camelid(
      ...[
        "tiny",
        "--out",
        out,
        "--lr",
        "1",
        "--batas",
        "1,2",
        "--set",
        "mexSteps=3",
        "--max-steps",
        "many",
        "stray",
      ],
    );
    expect(code).toBe(2);
    expect(err).toMatchInlineSnapshot(`
      "SettingsError [ERR_SETTINGS]: 5 things are wrong.
        - --lr is not a flag of \`camelid tiny\`: did you mean --learning-rate?
        - --batas is not a flag of \`camelid tiny\`: did you mean --betas?
        - "stray" was not expected here: give every value its flag
        - "mexSteps" is not a setting of \`camelid tiny\` (--set mexSteps=3): did you mean "maxSteps"?
        - maxSteps: expected a whole number above 0, or none, got "many" (--max-steps)
        fix:   accepted keys: out, learningRate, maxSteps, packing, betas, lora.rank,
               lora.alpha, lora.dropout, lora.targetModules, lora.rslora; \`camelid
               tiny --help\` explains each.
      "
    `);
    expect(existsSync(out)).toBe(false);
  });

  test.each([
    ["a preset that does not exist", ["--preset", "slw"], "ERR_UNKNOWN_PRESET", 'did you mean "slow"?'],
    [
      "a preset named like a property of every object",
      ["--preset", "constructor"],
      "ERR_UNKNOWN_PRESET",
      "presets: slow",
    ],
    ["--resume without a folder", ["--resume"], "ERR_MISSING_VALUE", "--out <folder>"],
    ["a flag without its value", ["--max-steps"], "ERR_USAGE", "camelid tiny --help"],
    ["a missing setting", [], "ERR_MISSING_VALUE", "give --out <folder>"],
  ])("%s", async (_, words, code, fix) => {
    const result = await camelid("tiny", ...words);
    expect(result.code).toBe(2);
    expect(result.err).toContain(`[${code}]`);
    expect(result.err).toContain(fix);
  });

  test("an output folder that holds another run", async () => {
    await camelid("tiny", "--out", out);
    const before = readFileSync(join(out, "events.jsonl"), "utf8");
    const { code, err } = await camelid("tiny", "--out", out);
    expect(code).toBe(2);
    expect(err).toContain("CheckpointError [ERR_RUN_EXISTS]");
    expect(readFileSync(join(out, "events.jsonl"), "utf8")).toBe(before);
  });
});

test("the compiler knows a preset that forgets a knob", () => {
  // @ts-expect-error `betas` and `lora` are missing
  const preset: Preset<typeof tiny.settings> = { learningRate: 1, maxSteps: 3, packing: true };
  expect(preset).toBeDefined();
});
