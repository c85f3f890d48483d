import { describe, expect, test } from "vitest";
import { z } from "zod";
import { acceptsText, type KnobSchema, knob, settingsShape } from "./knob.js";
import { knobs, loraKnobs, quantizeKnobs } from "./knobs.js";

const shapeOf = (shape: z.core.$ZodLooseShape) => settingsShape(z.strictObject(shape));

test("every shared knob has a help text, a group and words for what it accepts", () => {
  for (const one of shapeOf({ ...knobs, lora: loraKnobs, quantize: quantizeKnobs }).knobs.values()) {
    expect(one.help, one.path).toMatch(/^["A-Z].*\.$/);
    expect(one.group, one.path).not.toBe("Settings");
    expect(one.accepts, one.path).not.toBe("a value");
  }
});

test("no word of another tool leads to two knobs, or is itself a knob", () => {
  const shape = shapeOf({ ...knobs, lora: loraKnobs, quantize: quantizeKnobs });
  const all = [...shape.knobs.values()].flatMap(({ alsoKnownAs }) => alsoKnownAs);
  expect(new Set(all).size).toBe(all.length);
  for (const alias of all) expect(shape.knobs.has(alias), alias).toBe(false);
});

test("flags are the keys in kebab case", () => {
  const { knobs: found } = shapeOf({ maxGradNorm: knobs.maxGradNorm, lora: loraKnobs });
  expect([...found.values()].map(({ flag }) => flag)).toEqual([
    "--max-grad-norm",
    "--lora-rank",
    "--lora-alpha",
    "--lora-dropout",
    "--lora-target-modules",
    "--lora-rslora",
  ]);
});

test("a union of methods gives the knobs of all of them, none required by itself", () => {
  const method = z.discriminatedUnion("method", [
    z.strictObject({ method: z.literal("full") }),
    z.strictObject({ method: z.literal("lora"), lora: loraKnobs }),
  ]);
  const { knobs: found } = shapeOf({ train: method.default({ method: "full" }) });
  expect([...found.keys()]).toEqual([
    "train.method",
    "train.lora.rank",
    "train.lora.alpha",
    "train.lora.dropout",
    "train.lora.targetModules",
    "train.lora.rslora",
  ]);
  expect([...found.values()].some(({ required }) => required)).toBe(false);
});

describe("what a knob accepts, in words", () => {
  test.each([
    [z.number().positive(), "a number above 0"],
    [z.number().min(0).max(1), "a number from 0 to 1"],
    [z.number().min(0).lt(1), "a number from 0 to below 1"],
    [z.number().max(3), "a number up to 3"],
    [z.number(), "a number"],
    [z.int().positive(), "a whole number above 0"],
    [z.int().min(2).nullable(), "a whole number from 2 on, or none"],
    [z.enum(["a", "b", "c"]), "a, b or c"],
    [z.boolean(), "true or false"],
    [z.array(z.string()), "a list, each text"],
    [z.tuple([z.number(), z.int()]), "2 values: a number; a whole number"],
    [z.union([z.literal("auto"), z.int().positive()]), "auto or a whole number above 0"],
  ])("%#: %2$s", (schema, words) => {
    expect(acceptsText(z.toJSONSchema(schema) as KnobSchema)).toBe(words);
  });

  test("its own words win", () => {
    const { knobs: found } = shapeOf({
      a: knob(z.string(), { help: "H.", group: "G", accepts: "a colour" }),
    });
    expect(found.get("a")!.accepts).toBe("a colour");
  });
});
