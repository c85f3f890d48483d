import { describe, expect, test } from "vitest";
import * as torch from "./index.js";

const live = () => torch.memoryStats().liveTensors;

describe("a scope", () => {
  test("frees what was made in it, when it ends", () => {
    const before = live();
    {
      using _ = torch.tensorScope();
      torch.ones([3]).add(1).mul(2);
      expect(live()).toBe(before + 3);
    }
    expect(live()).toBe(before);
  });

  test("leaves what was made outside alone", () => {
    using outside = torch.ones([1]);
    torch.tensorScope(() => outside.add(1));
    expect(outside.item()).toBe(1);
  });

  test("hands what it keeps to the surrounding scope, and the outermost to the caller", () => {
    const before = live();
    let result: torch.Tensor;
    {
      using outer = torch.tensorScope();
      {
        using inner = torch.tensorScope();
        result = inner.keep(torch.ones([2]).add(1));
        torch.zeros([5]);
      }
      expect(live()).toBe(before + 1);
      expect(outer.keep([result])).toEqual([result]);
    }
    expect(result.toArray()).toEqual([2, 2]);
    expect(live()).toBe(before + 1);
    result.dispose();
    expect(live()).toBe(before);
  });

  test("keeps what its body returns: a tensor, an array, a plain object", () => {
    const before = live();
    using one = torch.tensorScope(() => torch.ones([1]).add(1));
    const many = torch.tensorScope(() => torch.arange(0, 6).chunk(3));
    const named = torch.tensorScope(() => ({
      loss: torch.ones([1]).neg(),
      step: 3,
      parts: [torch.zeros([1])],
    }));
    expect(live()).toBe(before + 1 + 3 + 2);
    expect(one.item()).toBe(2);
    expect(many.map((part) => part.toArray())).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(named.loss.item()).toBe(-1);
    for (const tensor of [...many, named.loss, ...named.parts]) tensor.dispose();
  });

  test("frees everything when its body throws", () => {
    const before = live();
    expect(() =>
      torch.tensorScope(() => {
        torch.ones([3]).add(1);
        throw new Error("mine");
      }),
    ).toThrow("mine");
    expect(live()).toBe(before);
  });

  test("may hold tensors that were disposed already", () => {
    const before = live();
    torch.tensorScope(() => {
      torch.ones([3]).dispose();
      using scoped = torch.ones([3]);
      const kept = torch.ones([3]);
      torch.tensorScope(() => kept.dispose());
      return scoped.numel;
    });
    expect(live()).toBe(before);
  });

  test("frees thousands at once", () => {
    const before = live();
    torch.tensorScope(() => {
      for (let i = 0; i < 5000; i++) torch.empty([1]);
      expect(live()).toBe(before + 5000);
    });
    expect(live()).toBe(before);
  });
});

describe("a scope across an await", () => {
  const hint = /stayed open across an `await`/;

  test("throws at the next tensor and at its end, and frees what it had", async () => {
    const before = live();
    const scope = torch.tensorScope();
    torch.ones([2]);
    await Promise.resolve();
    expect(() => torch.ones([2])).toThrow(hint);
    expect(() => scope[Symbol.dispose]()).toThrow(hint);
    expect(live()).toBe(before);
    using fine = torch.ones([2]); // and the next synchronous stretch is not affected
    expect(fine.numel).toBe(2);
  });

  test("throws inside a microtask too, where the await resumes at once", async () => {
    await null;
    const scope = torch.tensorScope();
    await null;
    expect(() => scope[Symbol.dispose]()).toThrow(hint);
  });

  test("an async body is refused", async () => {
    let late: Promise<void> | undefined;
    expect(() =>
      torch.tensorScope(() => {
        late = Promise.resolve();
        return late;
      }),
    ).toThrow(hint);
    await late;
  });

  test("many scopes of one synchronous stretch are one stretch", async () => {
    for (let i = 0; i < 3; i++) torch.tensorScope(() => torch.ones([1]).neg()).dispose();
    await Promise.resolve();
    for (let i = 0; i < 3; i++) torch.tensorScope(() => torch.ones([1]).neg()).dispose();
  });

  test("scopes closed out of order throw, and no closed scope stays an owner", () => {
    const before = live();
    const outer = torch.tensorScope();
    const inner = torch.tensorScope();
    const kept = inner.keep(torch.ones([1]));
    expect(() => outer[Symbol.dispose]()).toThrow("out of order");
    inner[Symbol.dispose]();
    kept.dispose();
    using after = torch.ones([1]);
    expect(after.isDisposed).toBe(false);
    expect(live()).toBe(before + 1);
  });
});

test("reading values, shapes and gradients leaves nothing behind", () => {
  using x = torch.tensor(
    [
      [1, 2],
      [3, 4],
    ],
    { requiresGrad: true },
  );
  const before = live();
  x.t().dispose();
  for (const read of [() => x.toArray(), () => x.toBytes(), () => x.shape, () => x.device, () => String(x)])
    read();
  using bf16 = x.to({ dtype: "bfloat16" });
  expect(bf16.toArray()).toEqual([1, 2, 3, 4]);
  expect(live()).toBe(before + 1);
});

test("a training loop ends with the tensors and bytes it began with", () => {
  const weight = torch.randn([8, 8]);
  weight.requiresGrad = true;
  const step = (): number => {
    using _ = torch.tensorScope();
    const loss = torch
      .relu(torch.randn([16, 8]).matmul(weight))
      .pow(2)
      .mean();
    loss.backward();
    torch.noGrad(() => weight.sub_(weight.grad!, { alpha: 0.01 }));
    weight.grad = undefined;
    return loss.item();
  };
  step();
  const before = torch.memoryStats();
  for (let i = 0; i < 100; i++) step();
  const after = torch.memoryStats();
  expect(after.liveTensors).toBe(before.liveTensors);
  expect(after.liveBytes).toBe(before.liveBytes);
  expect(after.reservedBytes).toBe(before.reservedBytes);
});

test("what is made outside of all scopes outlives them, and is the caller's to free", () => {
  const before = torch.memoryStats().liveTensors;
  const kept = torch.tensorScope(() => {
    using _ = torch.tensorScope();
    const made = torch.outsideScopes(() => torch.tensorScope(() => torch.ones([4]).mul(2)));
    torch.ones([2]); // freed as before
    return { made: [made] };
  }).made[0]!;
  expect(kept.toArray()).toEqual([2, 2, 2, 2]);
  kept.dispose();
  expect(torch.memoryStats().liveTensors).toBe(before);
});
