import { expect, test } from "vitest";
import * as torch from "./index.js";

test("where nothing may wait, asking for values is an error, and computing is none", () => {
  using _ = torch.tensorScope();
  const x = torch.ones([2]);
  const read = () => torch.withoutWaiting(() => x.sum().item());
  expect(read).toThrow("where nothing may wait for the device");
  expect(() => torch.withoutWaiting(() => torch.withoutWaiting(() => 0) + x.toArray()[0]!)).toThrow();
  expect(torch.withoutWaiting(() => torch.hostScalar(x.sum()))).toBe(2);
  const sum = torch.withoutWaiting(() => torch.tensor([1, 2]).add(x).sum());
  expect(sum.item()).toBe(5);
});

test("a graph of a CPU's work is refused with what is missing, and leaves nothing open", () => {
  expect(torch.canRecordGraphs("cpu")).toBe(false);
  const record = () => torch.recordGraph("cpu", () => torch.ones([1]));
  expect(record).toThrow(
    /CUDA part of the binding is not loaded|graphs record the work of CUDA devices, not of cpu/,
  );
  using x = torch.ones([2]);
  expect(x.sum().item()).toBe(2);
});
