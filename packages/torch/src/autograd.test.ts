import { describe, expect, test } from "vitest";
import { expectClose } from "./fixtures/expect-close.js";
import type { Tensor } from "./index.js";
import * as torch from "./index.js";

const leaf = (values: number[] | number[][]): Tensor =>
  torch.tensor(values, { dtype: "float64", requiresGrad: true });

/** Central differences of `f` at every element of `x`. */
function numericGradient(f: () => Tensor, x: Tensor, h = 1e-5): number[] {
  return torch.noGrad(() =>
    Array.from({ length: x.numel }, (_, i) => {
      using flat = x.detach().view([x.numel]);
      using element = flat.narrow(0, i, 1);
      const at = (offset: number): number => {
        element.add_(offset);
        const value = torch.tensorScope(() => f().item());
        element.sub_(offset);
        return value;
      };
      return (at(h) - at(-h)) / (2 * h);
    }),
  );
}

function expectGradients(f: () => Tensor, leaves: Tensor[]): void {
  torch.tensorScope(() => {
    for (const x of leaves) x.grad = undefined;
    f().backward();
    for (const x of leaves) expectClose(x.grad!, numericGradient(f, x), { relative: 1e-6, absolute: 1e-7 });
  });
}

/** x^2, in two forms: of a function written by hand, and plain. */
const square = (x: Tensor): Tensor =>
  torch.customFunction({
    inputs: [x],
    forward: () => x.mul(x),
    backward: (gradOutput) => [gradOutput.mul(x.detach()).mul(2)],
  });

/** Runs `body` again in the backward pass instead of keeping what it computed. */
const checkpoint = (body: (x: Tensor) => Tensor, x: Tensor): Tensor =>
  torch.customFunction({
    inputs: [x],
    always: true,
    forward: () => body(x),
    backward: (gradOutput) => {
      const input = x.detach();
      input.requiresGrad = true;
      torch.enableGrad(() => torch.backward([body(input)], [gradOutput]));
      return [input.grad];
    },
  });

describe("gradients", () => {
  test("equal finite differences through a small network", () => {
    const [x, w, b] = [
      leaf([
        [0.3, -0.8],
        [1.2, 0.5],
      ]),
      leaf([
        [0.7, -0.2],
        [0.1, 0.9],
      ]),
      leaf([0.05, -0.3]),
    ];
    expectGradients(
      () =>
        torch
          .silu(torch.linear(x, w, b))
          .logSoftmax(1)
          .select(1, 0)
          .mul(-1)
          .sum(),
      [x, w, b],
    );
  });

  test("add up over backward passes until they are taken away", () => {
    using _ = torch.tensorScope();
    const x = leaf([2]);
    x.pow(2).sum().backward();
    x.pow(2).sum().backward();
    expect(x.grad!.item()).toBe(8);
    x.grad = undefined;
    expect(x.grad).toBeUndefined();
  });

  test("backward weights several roots", () => {
    using _ = torch.tensorScope();
    const x = leaf([3]);
    torch.backward(
      [x.mul(2), x.mul(5)],
      [torch.tensor([10], { dtype: "float64" }), torch.tensor([1], { dtype: "float64" })],
    );
    expect(x.grad!.item()).toBe(25);
  });

  test("grad() returns gradients without storing any, and undefined for what was not used", () => {
    using _ = torch.tensorScope();
    const [x, unused] = [leaf([3]), leaf([1])];
    const [gx, gu] = torch.grad([x.pow(2)], [x, unused], {
      gradOutputs: [torch.tensor([0.5], { dtype: "float64" })],
    });
    expect(gx!.item()).toBe(3);
    expect(gu).toBeUndefined();
    expect(x.grad).toBeUndefined();
  });

  test("createGraph gives second derivatives: (x^3)'' = 6x", () => {
    using _ = torch.tensorScope();
    const x = leaf([2]);
    const [first] = torch.grad([x.pow(3)], [x], { createGraph: true });
    const [second] = torch.grad([first!], [x]);
    expect(second!.item()).toBe(12);
  });
});

describe("grad mode", () => {
  test("noGrad and enableGrad nest and end with their bodies, by exception too", () => {
    expect(torch.isGradEnabled()).toBe(true);
    torch.noGrad(() => {
      expect(torch.isGradEnabled()).toBe(false);
      torch.enableGrad(() => {
        expect(torch.isGradEnabled()).toBe(true);
        torch.noGrad(() => expect(torch.isGradEnabled()).toBe(false));
        expect(torch.isGradEnabled()).toBe(true);
      });
      expect(() =>
        torch.enableGrad(() => {
          throw new Error("mine");
        }),
      ).toThrow("mine");
      expect(torch.isGradEnabled()).toBe(false);
    });
    expect(torch.isGradEnabled()).toBe(true);
  });

  test("nothing is recorded under noGrad", () => {
    using _ = torch.tensorScope();
    const x = leaf([1]);
    expect(torch.noGrad(() => x.mul(2)).requiresGrad).toBe(false);
    expect(x.mul(2).requiresGrad).toBe(true);
    expect(x.mul(2).isLeaf).toBe(false);
    expect(x.mul(2).detach().requiresGrad).toBe(false);
  });
});

describe("a custom function", () => {
  test("has the gradient that its backward says", () => {
    using _ = torch.tensorScope();
    const x = leaf([1, -2, 3]);
    square(x).sum().backward();
    expect(x.grad!.toArray()).toEqual([2, -4, 6]);
  });

  test("in chains, with plain operators before, between and after", () => {
    const [x, w] = [leaf([0.5, -1.5]), leaf([2, 3])];
    expectGradients(
      () =>
        square(square(x.mul(w)).add(w).sin())
          .exp()
          .sum(),
      [x, w],
    );
  });

  test("shares an input with other functions and with plain operators", () => {
    const x = leaf([0.5, -1.5]);
    expectGradients(() => {
      const y = x.sin(); // needs its saved input once, whatever uses it
      return square(y).add(square(y).mul(y)).add(y.exp()).sum();
    }, [x]);
  });

  test("takes the same input twice", () => {
    using _ = torch.tensorScope();
    const x = leaf([3]);
    const product = (p: Tensor, q: Tensor): Tensor =>
      torch.customFunction({
        inputs: [p, q],
        forward: () => p.mul(q),
        backward: (g) => [g.mul(q.detach()), g.mul(p.detach())],
      });
    product(x, x).backward();
    expect(x.grad!.item()).toBe(6);
  });

  test("serves residual blocks that are computed again: gradients as without, parameters included", () => {
    const [x, w] = [
      leaf([0.4, -0.7]),
      leaf([
        [0.3, -0.5],
        [0.8, 0.1],
      ]),
    ];
    const block = (h: Tensor): Tensor => square(torch.linear(h, w).tanh()); // a custom function inside
    const stack = (run: (h: Tensor) => Tensor): Tensor => {
      let h = x.sin();
      for (let layer = 0; layer < 3; layer++) h = h.add(run(h));
      return h.sum();
    };
    torch.tensorScope(() => {
      stack(block).backward();
      const plain = [x.grad!.toArray(), w.grad!.toArray()];
      expectGradients(() => stack((h) => checkpoint(block, h)), [x, w]);
      expectClose(x.grad!, plain[0]!, { relative: 1e-12, absolute: 1e-12 });
      expectClose(w.grad!, plain[1]!, { relative: 1e-12, absolute: 1e-12 });
    });
  });

  test("reaches parameters that are no inputs, with `always` and only then", () => {
    using _ = torch.tensorScope();
    const w = leaf([5]);
    const x = torch.tensor([2], { dtype: "float64" });
    const body = (input: Tensor): Tensor => input.mul(w);
    const output = checkpoint(body, x);
    expect(output.requiresGrad).toBe(true);
    output.backward();
    expect(w.grad!.item()).toBe(2);
    const without = torch.customFunction({ inputs: [x], forward: () => body(x), backward: () => [] });
    expect(without.requiresGrad).toBe(false);
  });

  test("works through grad(), and twice when the graph is retained", () => {
    using _ = torch.tensorScope();
    const x = leaf([4]);
    const y = square(x.mul(3));
    expect(torch.grad([y], [x], { retainGraph: true })[0]!.item()).toBe(72);
    expect(torch.grad([y], [x])[0]!.item()).toBe(72);
  });

  test("passes gradients on although its inputs and its output were disposed", () => {
    using _ = torch.tensorScope();
    const x = leaf([4]);
    const hidden = x.mul(3);
    const scaled = torch.customFunction({
      inputs: [hidden],
      forward: () => hidden.mul(7),
      backward: (g) => [g.mul(7)],
    });
    const loss = scaled.sum();
    hidden.dispose();
    scaled.dispose();
    loss.backward();
    expect(x.grad!.item()).toBe(21);
  });

  test("whose backward uses a disposed tensor says which", () => {
    using _ = torch.tensorScope();
    const x = leaf([4]).named("activations");
    const loss = square(x).sum();
    x.dispose();
    expect(() => loss.backward()).toThrow('tensor "activations" was used after it was disposed');
  });

  test("that throws ends the pass with its own error", () => {
    using _ = torch.tensorScope();
    const x = leaf([1]);
    class Mine extends Error {}
    const failing = torch.customFunction({
      inputs: [x],
      forward: () => x.mul(2),
      backward: () => {
        throw new Mine("in backward");
      },
    });
    expect(() => failing.mul(3).backward()).toThrow(Mine);
    expect(torch.isGradEnabled()).toBe(true);
    square(x).backward(); // and the next pass works
    expect(x.grad!.item()).toBe(2);
  });

  test("whose gradient has another shape, or that has too many, is refused", () => {
    using _ = torch.tensorScope();
    const x = leaf([1, 2]);
    const returning = (gradients: () => Tensor[]): Tensor =>
      torch.customFunction({ inputs: [x], forward: () => x.mul(2), backward: gradients });
    expect(() =>
      returning(() => [torch.ones([3])])
        .sum()
        .backward(),
    ).toThrow(/invalid gradient .* got \[3\] .* \[2\]/);
    expect(() =>
      returning(() => [x, x])
        .sum()
        .backward(),
    ).toThrow("2 gradients for 1 inputs");
  });

  test("may give no gradient, may return an input, and is not called when no gradient arrives", () => {
    using _ = torch.tensorScope();
    const x = leaf([3]);
    const same = torch.customFunction({ inputs: [x], forward: () => x, backward: (g) => [g.mul(10)] });
    const none = torch.customFunction({ inputs: [x], forward: () => x.mul(2), backward: () => [undefined] });
    let called = false;
    torch.customFunction({
      inputs: [x],
      forward: () => x.mul(2),
      backward: () => {
        called = true;
        return [];
      },
    });
    same.add(none).backward();
    expect(x.grad!.item()).toBe(10);
    expect(called).toBe(false);
  });

  test("records nothing under noGrad, or when no input requires a gradient", () => {
    using _ = torch.tensorScope();
    expect(torch.noGrad(() => square(leaf([1]))).requiresGrad).toBe(false);
    expect(square(torch.ones([1])).requiresGrad).toBe(false);
  });

  test("keeps the gradients it computed ahead", () => {
    using _ = torch.tensorScope();
    const x = leaf([3]);
    const ahead = torch.tensor([7], { dtype: "float64" });
    torch.customFunction({ inputs: [x], forward: () => x.mul(7), backward: () => [ahead] }).backward();
    torch.noGrad(() => x.grad!.mul_(2));
    expect(ahead.item()).toBe(7);
  });

  test("leaves no tensor behind, whether its backward runs or not", () => {
    const x = leaf([0.5]);
    const once = (run: boolean): void => {
      using _ = torch.tensorScope();
      const loss = checkpoint((h) => square(h).exp(), square(x).sin()).sum();
      if (run) loss.backward();
      x.grad = undefined;
    };
    once(true);
    const before = torch.memoryStats();
    for (let i = 0; i < 50; i++) once(i % 2 === 0);
    const after = torch.memoryStats();
    expect(after.liveTensors).toBe(before.liveTensors);
    expect(after.liveBytes).toBe(before.liveBytes);
  });
});

test("memory that was given back and taken again is there for a graph that saved the tensor", () => {
  using _ = torch.tensorScope();
  const weight = torch.ones([2, 2], { dtype: "float32" });
  weight.requiresGrad = true;
  const x = torch.ones([1, 2]);
  x.requiresGrad = true;
  const y = torch.linear(x, weight).sum();
  const before = torch.memoryStats().liveBytes;
  torch.dropStorage(weight);
  expect(before - torch.memoryStats().liveBytes).toBe(16);
  expect(() => weight.toBytes()).toThrow(/no memory at the moment/);
  torch.takeStorage(weight);
  y.backward();
  const [a, b, c, d] = weight.toArray() as [number, number, number, number]; // whatever lies there now
  expect(x.grad!.toArray()).toEqual([Math.fround(a + c), Math.fround(b + d)]);
});
