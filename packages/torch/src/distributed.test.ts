import { createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import * as torch from "./index.js";

let group: torch.ProcessGroup;
beforeEach(async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
  group = torch.joinGroup({ rank: 0, size: 1, host: "127.0.0.1", port, hostname: "127.0.0.1", patience: 5 });
});
afterEach(() => group[Symbol.dispose]());

test("host memory travels over Gloo; a GPU's over NCCL only where the binding has it", () => {
  expect(group.backend("cpu")).toBe("gloo");
  expect(group.backend("cuda:0")).toBe(torch.installation().cudaParts.includes("nccl") ? "nccl" : "gloo");
});

test("a group of one gives everybody what it has", () => {
  using _ = torch.tensorScope();
  const x = torch.tensor([1, 2, 3]);
  for (const started of [group.allReduce(x), group.broadcast(x), group.reduce(x, 0)]) started.wait();
  const [all, own] = [torch.zeros([3]), torch.zeros([3])];
  group.allGather(all, x).wait();
  group.reduceScatter(own, x).wait();
  for (const result of [x, all, own]) expect(result.toArray()).toEqual([1, 2, 3]);
  expect(group.exchange("words", "hello")).toEqual(["hello"]);
  expect(group.failure()).toBeUndefined();
});
