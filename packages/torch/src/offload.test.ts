import { expect, test } from "vitest";
import * as torch from "./index.js";

test("what comes back is what was there when it was moved, whatever became of the tensor", () => {
  using _ = torch.tensorScope();
  const x = torch.randn([3, 5]);
  x.requiresGrad = true;
  const before = x.toArray();
  const copy = torch.moveToHost(x);
  torch.noGrad(() => x.zero_());
  x.dispose();
  copy.prefetch();
  copy.prefetch();
  const back = copy.takeBack();
  expect(back.toArray()).toEqual(before);
  expect(back.requiresGrad).toBe(false);
});

test("a copy is taken back once; taken or disposed of, it holds no memory", () => {
  const before = torch.memoryStats().liveBytes;
  using x = torch.zeros([1000]);
  const [taken, dropped] = [torch.moveToHost(x), torch.moveToHost(x)];
  expect(torch.memoryStats().liveBytes - before).toBeGreaterThanOrEqual(3 * 4000);
  taken.takeBack().dispose();
  dropped[Symbol.dispose]();
  x.dispose();
  expect(torch.memoryStats().liveBytes).toBe(before);
  for (const copy of [taken, dropped]) {
    expect(() => copy.takeBack()).toThrow("taken back or disposed of");
    expect(() => copy.prefetch()).toThrow("taken back or disposed of");
  }
});
