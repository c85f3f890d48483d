import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { parseSchema } from "../schema.js";
import { emitFunction, emitMethod } from "./emit.js";

const generator = fileURLToPath(new URL("../../dist/codegen/generate.js", import.meta.url));

test("generating again changes nothing", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [generator, "--check"]);
  expect(stdout).toMatch(/^\d+ methods and \d+ functions over \d+ operators\n$/);
});

const addSchemas = [
  "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
  "aten::add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
].map(parseSchema);

test("two overloads become one method that takes a tensor or a number", () => {
  const numberOf = (name: string): number => (name.endsWith("Scalar") ? 1 : 0);
  const text = emitMethod(
    { name: "add", overloads: ["add.Tensor", "add.Scalar"], doc: "sum" },
    addSchemas,
    numberOf,
  );
  expect(text).toBe(`  /** sum. \`aten::add.Tensor\`, \`aten::add.Scalar\` */
  add(other: Tensor | number, options?: { alpha?: number | undefined }): Tensor {
    if (typeof other === "number") {
      return wrap(native.call(1, this.handle, other, options?.alpha));
    }
    return wrap(native.call(0, this.handle, other.handle, options?.alpha));
  }`);
});

test("schemas are read whole: lists, optionals, defaults, aliases, several results, out arguments", () => {
  const topk = parseSchema(
    "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True) -> (Tensor values, Tensor indices)",
  );
  expect(topk.returns).toEqual(["Tensor", "Tensor"]);
  expect(topk.args[2]).toEqual({ name: "dim", type: "int", defaultValue: "-1", keywordOnly: false });
  const sum = parseSchema(
    "aten::sum.IntList_out(Tensor self, int[1]? dim, *, ScalarType? dtype=None, Tensor(a!) out) -> Tensor(a!)",
  );
  expect(sum.args.map(({ type }) => type)).toEqual(["Tensor", "int[1]?", "ScalarType?", "Tensor"]);
  expect(sum.args.map(({ keywordOnly }) => keywordOnly)).toEqual([false, false, true, true]);
  expect(sum.returnedArgument).toBe(3);
  expect(parseSchema("aten::relu_(Tensor(a!) self) -> Tensor(a!)").returnedArgument).toBe(0);
  expect(parseSchema("aten::t(Tensor(a) self) -> Tensor(a)").returnedArgument).toBeUndefined();
  expect(parseSchema("aten::_foreach_zero_(Tensor(a!)[] self) -> ()").returns).toEqual([]);
  expect(() => parseSchema("add(Tensor)")).toThrow("not a schema");
});

test("a type that TypeScript has no word for stops the generator", () => {
  const schema = parseSchema("aten::f(Tensor self, Stream s) -> Tensor");
  expect(() => emitFunction({ name: "f", overloads: ["f"], doc: "" }, [schema], () => 0)).toThrow(
    "no TypeScript type for Stream",
  );
});
