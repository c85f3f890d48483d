import { describe, expect, test } from "vitest";
import * as torch from "./index.js";

const work = (): void => {
  using _ = torch.tensorScope();
  const x = torch.randn([64, 64]);
  x.matmul(x).sum();
};

describe("a recording", () => {
  test("has every operator, with the time it spent in itself", async () => {
    const { events, spans } = await torch.profile(() => work());
    const names = events.map(({ name }) => name);
    expect(names).toContain("aten::mm");
    expect(names).toContain("aten::sum");
    const matmul = events.find(({ name }) => name === "aten::matmul")!;
    const mm = events.find(({ name }) => name === "aten::mm")!;
    expect(matmul.selfUs).toBeLessThan(matmul.durationUs - 0.9 * mm.durationUs);
    expect(spans).toEqual([]);
  });

  test("has the spans that the program names, their parts taken out of them, on the operators' clock", async () => {
    const { events, spans } = await torch.profile(() =>
      torch.span("outer", () => {
        work();
        torch.span("inner", work);
      }),
    );
    const [inner, outer] = spans as [torch.ProfileEvent, torch.ProfileEvent];
    expect(spans.map(({ name }) => name)).toEqual(["inner", "outer"]);
    expect(outer.selfUs).toBeCloseTo(outer.durationUs - inner.durationUs, 3);
    const begins = events.filter(({ name }) => name === "aten::mm").map(({ startUs }) => startUs);
    expect(begins).toHaveLength(2);
    expect(begins[0]).toBeGreaterThan(outer.startUs);
    expect(begins[0]).toBeLessThan(inner.startUs);
    expect(begins[1]).toBeGreaterThan(inner.startUs);
    expect(begins[1]).toBeLessThan(inner.startUs + inner.durationUs);
  });

  test("ends when its body fails, and another can begin", async () => {
    await expect(
      torch.profile(() => {
        throw new Error("broken");
      }),
    ).rejects.toThrow("broken");
    const recording = torch.startProfile();
    expect(() => torch.startProfile()).toThrow(/being recorded already/);
    torch.span("kept", work);
    expect(recording.stop().spans).toHaveLength(1);
    expect(recording.stop().events).toEqual([]);
  });
});

test("a span costs nothing and records nothing where nobody listens", () => {
  expect(torch.span("unheard", () => 5)).toBe(5);
});

test("operators are summed by name, costliest first, shares adding up to one", async () => {
  const { events } = await torch.profile(() => {
    work();
    work();
  });
  const costs = torch.operatorCosts(events);
  expect(costs.find(({ name }) => name === "aten::mm")!.calls).toBe(2);
  expect(costs.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
  expect(costs.map(({ selfUs }) => selfUs)).toEqual(costs.map(({ selfUs }) => selfUs).sort((a, b) => b - a));
});

test("a trace is JSON of complete events that begins at zero, spans on a track of their own", async () => {
  const { events, spans } = await torch.profile(() => torch.span("phase", work));
  const { traceEvents } = JSON.parse(torch.chromeTrace(events, spans)) as {
    traceEvents: { name: string; ph: string; ts: number; dur: number; tid: number; cat: string }[];
  };
  const complete = traceEvents.filter(({ ph }) => ph === "X");
  expect(complete).toHaveLength(events.length + 1);
  expect(Math.min(...complete.map(({ ts }) => ts))).toBe(0);
  expect(complete.find(({ cat }) => cat === "span")).toMatchObject({ name: "phase", tid: 0, ts: 0 });
});
