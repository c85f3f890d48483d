import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { SettingsError } from "../errors.js";
import { everyKey, knobs, loraKnobs } from "./knobs.js";
import { type Layer, readSettingsFile } from "./layers.js";
import { formatSettings } from "./print.js";
import { resolveSettings } from "./resolve.js";

const schema = z.strictObject({
  model: knobs.model,
  learningRate: knobs.learningRate,
  betas: knobs.betas,
  maxSteps: knobs.maxSteps,
  maxGradNorm: knobs.maxGradNorm,
  precision: knobs.precision,
  packing: knobs.packing,
  device: knobs.device,
  lora: loraKnobs.nullable().default(null),
});

const model: Layer = { source: "preset", name: "base", values: { model: "m" } };
const set = (...entries: string[]): Layer => ({ source: "set", entries });
const flags = (values: Record<string, string | true>): Layer => ({
  source: "flag",
  values: new Map(Object.entries(values)),
});
const file = (values: object): Layer => ({ source: "file", path: "run.yaml", values });
const resolve = (...layers: Layer[]) =>
  resolveSettings(schema, [model, ...layers], { command: "sft", everyKey });
const failure = (...layers: Layer[]): SettingsError => {
  try {
    resolve(...layers);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
};

describe("order of precedence", () => {
  const weakest: Layer[] = [
    { source: "checkpoint", path: "out/run1", values: { learningRate: 1 } },
    { source: "preset", name: "tulu2-7b", values: { learningRate: 2 } },
    file({ learningRate: 3 }),
    set("learningRate=4"),
    flags({ learningRate: "5" }),
  ];
  const details = ["out/run1", "tulu2-7b", "run.yaml", "--set learningRate", "--learning-rate"];

  test.each([1, 2, 3, 4, 5])(
    "layer %i of checkpoint, preset, file, --set, flag beats those before it",
    (count) => {
      const layers = weakest.slice(0, count);
      const { settings, origins } = resolve(...layers);
      expect(settings.learningRate).toBe(count);
      expect(origins.learningRate).toEqual({ source: layers.at(-1)!.source, detail: details[count - 1] });
      expect(resolve(...layers.reverse()).settings.learningRate).toBe(count);
    },
  );

  test("the last of two --set of the same key wins", () => {
    expect(resolve(set("learningRate=1", "learningRate=2")).settings.learningRate).toBe(2);
  });

  test("what nobody set has the schema's default and says so", () => {
    const { settings, origins } = resolve();
    expect(settings.learningRate).toBe(2e-5);
    expect(origins.learningRate).toEqual({ source: "default" });
    expect(origins.lora).toEqual({ source: "default" });
  });

  test("a recipe may give a shared knob another default and keeps its help", () => {
    const own = z.strictObject({ learningRate: knobs.learningRate.default(5e-7) });
    const { settings } = resolveSettings(own, [], { command: "dpo" });
    expect(settings.learningRate).toBe(5e-7);
  });
});

describe("groups", () => {
  test("setting one key of a group that is off turns the group on with its defaults", () => {
    const { settings, origins } = resolve(set("lora.rank=4"));
    expect(settings.lora).toMatchObject({ rank: 4, alpha: 32 });
    expect(origins["lora.rank"]).toEqual({ source: "set", detail: "--set lora.rank" });
    expect(origins["lora.alpha"]).toEqual({ source: "default" });
    expect(origins.lora).toBeUndefined();
  });

  test("none from a stronger layer takes the whole group away", () => {
    expect(resolve(file({ lora: { rank: 4 } }), set("lora=none")).settings.lora).toBeNull();
  });

  test("a key of the group from a stronger layer brings it back", () => {
    expect(resolve(file({ lora: null }), flags({ "lora.rank": "2" })).settings.lora?.rank).toBe(2);
  });

  test("dotted and nested keys in a file are the same", () => {
    expect(resolve(file({ "lora.rank": 4 })).settings).toEqual(resolve(file({ lora: { rank: 4 } })).settings);
  });
});

describe("text from the command line is read by the type of its knob", () => {
  test.each([
    ["learningRate=1e-5", "learningRate", 1e-5],
    ["betas=0.9,0.95", "betas", [0.9, 0.95]],
    ["betas=[0.9, 0.95]", "betas", [0.9, 0.95]],
    ["maxSteps=none", "maxSteps", null],
    ["maxSteps=12", "maxSteps", 12],
    ["packing=false", "packing", false],
    ["model=12", "model", "12"],
    ["model=a=b", "model", "a=b"],
    ["lora.targetModules=q_proj,v_proj", "lora.targetModules", ["q_proj", "v_proj"]],
  ])("%s", (entry, key, value) => {
    expect(resolve(set(entry)).settings).toHaveProperty(key, value);
  });

  test.each([
    "learningRate=",
    "learningRate=0x10",
    "learningRate=fast",
    "maxSteps=1.5",
    "packing=yes",
    "betas=0.9",
  ])("%s is refused", (entry) => {
    expect(failure(set(entry)).code).toBe("ERR_INVALID_VALUE");
  });
});

describe("error messages", () => {
  test("an unknown key gets a suggestion and the list of accepted keys", () => {
    expect(failure(set("lerningRate=1e-5")).format()).toMatchInlineSnapshot(`
      "SettingsError [ERR_UNKNOWN_KEY]: "lerningRate" is not a setting of \`camelid sft\`.
        where: --set lerningRate=1e-5
        fix:   did you mean "learningRate"?
               accepted keys: model, learningRate, betas, maxSteps, maxGradNorm,
               precision, packing, device, lora.rank, lora.alpha, lora.dropout,
               lora.targetModules, lora.rslora; \`camelid sft --help\` explains each."
    `);
  });

  test("the word another tool uses leads to ours", () => {
    expect(failure(set("lr=1e-5")).fix).toContain('did you mean "learningRate"?');
    expect(failure(set("lora_r=8")).fix).toContain('did you mean "lora.rank"?');
    expect(failure(set("rank=8")).fix).toContain('did you mean "lora.rank"?');
  });

  test("a key of another command is told apart from a typing mistake", () => {
    expect(failure(set("beta=0.1")).message).toBe('"beta" means nothing to `camelid sft`.');
  });

  test("a word that is like nothing gets no suggestion", () => {
    expect(failure(set("zzzzzz=1")).fix).not.toContain("did you mean");
  });

  test("a wrong value says what is expected, what was given and where", () => {
    expect(failure(flags({ precision: "fp8" })).format()).toMatchInlineSnapshot(`
      "SettingsError [ERR_INVALID_VALUE]: precision: expected fp32, bf16 or bf16-mixed, got "fp8".
        where: --precision
        fix:   \`camelid sft --help\` explains each."
    `);
  });

  test("a missing value names its flag", () => {
    expect(() => resolveSettings(schema, [], { command: "sft" })).toThrowErrorMatchingInlineSnapshot(
      `[SettingsError: model is missing (model folder in the Hugging Face layout, or org/name[@revision] on a hub).]`,
    );
  });

  test("all problems are reported together", () => {
    const error = failure(
      file({ learningRate: -1, wormup: 3 }),
      set("precision=int4"),
      flags({ maxSteps: "0" }),
    );
    expect(error.code).toBe("ERR_SETTINGS");
    expect(error.exitCode).toBe(2);
    expect(error.format()).toMatchInlineSnapshot(`
      "SettingsError [ERR_SETTINGS]: 4 things are wrong.
        - "wormup" is not a setting of \`camelid sft\` (file run.yaml)
        - learningRate: expected a number above 0, got -1 (file run.yaml)
        - maxSteps: expected a whole number above 0, or none, got 0 (--max-steps)
        - precision: expected fp32, bf16 or bf16-mixed, got "int4" (--set precision)
        fix:   accepted keys: model, learningRate, betas, maxSteps, maxGradNorm,
               precision, packing, device, lora.rank, lora.alpha, lora.dropout,
               lora.targetModules, lora.rslora; \`camelid sft --help\` explains each."
    `);
  });

  test("keys that reach for an object's prototype are unknown keys", () => {
    const hostile = JSON.parse(
      '{"__proto__": {"polluted": 1}, "constructor": 2, "lora": {"__proto__": {"rank": 1}}}',
    );
    expect(failure(file(hostile)).code).toBe("ERR_UNKNOWN_KEY");
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe("settings files", () => {
  const folder = mkdtempSync(join(tmpdir(), "camelid-settings-"));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  test("YAML and JSON give the same settings, and 2e-5 is a number in both", () => {
    const yaml = readSettingsFile(write("a.yaml", "learningRate: 2e-5\nlora:\n  rank: 4\n"));
    const json = readSettingsFile(write("a.json", '{"learningRate": 2e-5, "lora": {"rank": 4}}'));
    expect(yaml.values).toEqual({ learningRate: 2e-5, lora: { rank: 4 } });
    expect(json.values).toEqual(yaml.values);
  });

  test("a mistake in a file is told with its line", () => {
    const path = write("b.yaml", "# mine\nlearningRate: 2e-5\nlora:\n  rank: 4\n  alhpa: 8\n");
    expect(failure(readSettingsFile(path)).where).toBe(`file ${path}:5`);
  });

  test("keys that start with $ are notes", () => {
    expect(readSettingsFile(write("c.json", '{"$provenance": {}, "packing": true}')).values).toEqual({
      packing: true,
    });
  });

  test("an empty file sets nothing", () => {
    expect(readSettingsFile(write("d.yaml", "# nothing\n")).values).toEqual({});
  });

  test.each([
    ["a key that stands twice", "packing: true\npacking: false\n"],
    ["broken JSON", '{"packing": tru'],
    ["a list", "- packing\n"],
    ["an alias", "a: &a [1]\nb: *a\n"],
    ["text", "hello"],
  ])("%s is one clear error", (_, text) => {
    expect(() => readSettingsFile(write("bad.yaml", text))).toThrowError(
      expect.objectContaining({
        code: "ERR_CONFIG_FILE",
        exitCode: 2,
        where: expect.stringContaining("bad.yaml"),
      }),
    );
  });

  test("a file that is not there is one clear error", () => {
    expect(() => readSettingsFile(join(folder, "none.yaml"))).toThrowError(
      expect.objectContaining({ code: "ERR_CONFIG_FILE", where: join(folder, "none.yaml") }),
    );
  });
});

test("the table of effective settings shows what was chosen first, with its origin, within 80 columns", () => {
  const text = formatSettings(resolve(set("lora.rank=4"), flags({ betas: "0.9,0.95" })));
  expect(text).toMatchInlineSnapshot(`
    "  model               m                                          preset base
      betas               0.9,0.95                                   --betas
      lora.rank           4                                          --set lora.rank
      learningRate        2e-5                                       default
      maxSteps            none                                       default
      maxGradNorm         1                                          default
      precision           fp32                                       default
      packing             true                                       default
      device              auto                                       default
      lora.alpha          32                                         default
      lora.dropout        0                                          default
      lora.targetModules  q_proj,k_proj,v_proj,o_proj,gate_proj,...  default
      lora.rslora         false                                      default"
  `);
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});
