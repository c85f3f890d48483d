import { describe, expect, test } from "vitest";
import * as torch from "./index.js";

const caught = (body: () => unknown): Error & { code?: string; fix?: string } => {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  return expect.fail("nothing was thrown");
};

describe("libtorch's refusals", () => {
  test("a shape error names the operator and every shape", () => {
    const error = caught(() => torch.ones([2, 3]).matmul(torch.ones([4, 5])));
    expect(error).toBeInstanceOf(torch.NativeError);
    expect(error.code).toBe("ERR_TORCH");
    expect(error.message).toBe(
      "matmul: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5) (given self [2, 3], other [4, 5])",
    );
  });

  test("lists of tensors are shown too, long ones in part", () => {
    expect(caught(() => torch.cat([torch.ones([2, 3]), torch.ones([2, 4])])).message).toMatch(
      /^cat: .*\(given tensors \[2, 3\] \[2, 4\]\)$/,
    );
    const many = Array.from({ length: 20 }, (_, i) => torch.ones([i + 1]));
    expect(caught(() => torch.stack(many)).message).toMatch(/\[8\] \.\.\. 20 tensors\)$/);
  });

  test("the stack leads to the caller", () => {
    expect(caught(() => torch.ones([2]).view([3])).stack).toContain("errors.test.ts");
  });

  test("an index out of range is an error, not a crash", () => {
    const weight = torch.ones([4, 2]);
    expect(caught(() => torch.embedding(weight, torch.tensor([4], { dtype: "int64" }))).message).toMatch(
      /^embedding: index out of range/,
    );
  });

  test("a size that no machine has is an error", () => {
    for (const shape of [[2 ** 30, 2 ** 30], [2 ** 31, 2 ** 29], [2 ** 50]])
      expect(
        caught(() => torch.empty(shape)),
        String(shape),
      ).toBeInstanceOf(torch.NativeError);
    expect(torch.memoryStats().reservedBytes).toBeLessThan(2 ** 40);
  });
});

describe("wrong arguments name the operator and the argument", () => {
  const x = torch.ones([2, 3]);
  // What a JavaScript caller, or `as any`, could pass.
  const wrong = (value: unknown): never => value as never;

  test.each([
    ["a string for a list", () => x.sum(wrong("0")), 'sum: argument "dim" must be an array'],
    ["a fraction for an integer", () => x.softmax(0.5), 'softmax: argument "dim" must be an integer'],
    ["NaN for an integer", () => torch.ones([Number.NaN]), 'ones: argument "size" must be an integer'],
    [
      "infinity for an integer",
      () => x.unsqueeze(Number.POSITIVE_INFINITY),
      'unsqueeze: argument "dim" must be an integer',
    ],
    ["nothing for a tensor", () => x.matmul(wrong({})), 'matmul: argument "other" must be given'],
    [
      "a number for true or false",
      () => x.sum([0], wrong(1)),
      'sum: argument "keepdim" must be true or false',
    ],
    ["true for a number", () => torch.softplus(x, wrong("1")), 'softplus: argument "beta" must be a number'],
    [
      "a number for a device",
      () => torch.ones([1], { device: wrong(0) }),
      'ones: argument "device" must be a string',
    ],
  ])("%s", (_, body, message) => {
    const error = caught(body);
    expect(error).toBeInstanceOf(torch.NativeError);
    expect(error.message).toBe(message);
  });

  test("an unknown device is refused", () => {
    expect(caught(() => torch.ones([1], { device: "abacus" })).message).toMatch(/abacus/);
  });

  test("ragged arrays, wrong counts and wrong shapes are refused", () => {
    expect(() => torch.tensor([[1, 2], [3]])).toThrow("ragged");
    expect(() => torch.tensor([[1], 2])).toThrow("ragged");
    expect(() => torch.tensor(new Float32Array(6), { shape: [2, 2] })).toThrow(
      "shape [2,2] does not hold 6 elements",
    );
    expect(() => torch.fromBytes(new Uint8Array(7), [2], "float32")).toThrow(
      "the shape needs 8 bytes, the data has 7",
    );
    expect(() => torch.fromBytes(wrong([1, 2]), [2], "float32")).toThrow("must be a typed array");
    expect(() => torch.ones([2]).item()).toThrow("the tensor has 2 elements");
    expect(() => torch.manualSeed(-1)).toThrow(RangeError);
    expect(() => torch.setNumThreads(0)).toThrow(RangeError);
  });

  test("a gradient of another shape is refused when it is set", () => {
    const leaf = torch.ones([2]);
    expect(() => {
      leaf.grad = torch.ones([3]);
    }).toThrow("a gradient of shape [3] for a tensor of shape [2]");
  });
});

describe("unknown or misused operators", () => {
  test("an operator that does not exist is named, at every call", () => {
    for (let again = 0; again < 2; again++)
      expect(caught(() => torch.callOperator("aten::frobnicate")).message).toBe(
        "this libtorch has no operator aten::frobnicate",
      );
  });

  test("too many arguments, and numbers where tensors belong", () => {
    const x = torch.ones([1]);
    expect(caught(() => torch.callOperator("aten::relu", x, 1)).message).toBe(
      "relu: takes 1 arguments, not 2",
    );
    expect(caught(() => torch.callOperator("aten::relu", 1048577)).message).toBe(
      "aten::relu: 1048577 is not a tensor",
    );
    expect(caught(() => torch.callOperator("aten::cat", [x, 3])).message).toBe(
      "aten::cat: 3 is not a tensor",
    );
  });
});

describe("after disposal", () => {
  test("the error names the tensor and says what to do", () => {
    const x = torch.ones([2]).named("model.norm.weight");
    x.dispose();
    x.dispose();
    expect(x.isDisposed).toBe(true);
    const error = caught(() => x.add(1)) as torch.LifetimeError;
    expect(error).toBeInstanceOf(torch.LifetimeError);
    expect(error.code).toBe("ERR_TENSOR_DISPOSED");
    expect(error.format()).toBe(
      'LifetimeError [ERR_TENSOR_DISPOSED]: tensor "model.norm.weight" was used after it was disposed.\n' +
        "  fix:   keep it with scope.keep(tensor), or dispose of it later.",
    );
  });

  test("as an argument it is refused as well", () => {
    const x = torch.ones([2]);
    x.dispose();
    expect(() => torch.ones([2]).add(x)).toThrow("a tensor was used after it was disposed");
    expect(() => torch.cat([x])).toThrow(torch.LifetimeError);
    expect(String(caught(() => x.shape))).toContain("disposed");
  });
});
