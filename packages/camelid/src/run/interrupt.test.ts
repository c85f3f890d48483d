import { EventEmitter } from "node:events";
import { expect, test, vi } from "vitest";
import { Interrupt, nextTurn } from "./interrupt.js";

function setUp() {
  const source = new EventEmitter();
  const clock = { ms: 1000 };
  const exit = vi.fn();
  const say = vi.fn();
  const interrupt = new Interrupt({
    source: source as unknown as NodeJS.Process,
    exit,
    say,
    now: () => clock.ms,
  });
  return { source, clock, exit, say, interrupt };
}

test.each(["SIGINT", "SIGTERM"])("the first %s asks to stop and says so", (name) => {
  const { source, exit, say, interrupt } = setUp();
  expect(interrupt.signal.aborted).toBe(false);
  source.emit(name);
  expect(interrupt.signal.aborted).toBe(true);
  expect(say).toHaveBeenCalledOnce();
  expect(exit).not.toHaveBeenCalled();
});

test("the second leaves at once with 130", () => {
  const { source, clock, exit } = setUp();
  source.emit("SIGINT");
  clock.ms += 2000;
  source.emit("SIGTERM");
  expect(exit).toHaveBeenCalledExactlyOnceWith(130);
});

test("one Ctrl+C that arrives twice, from the terminal and through npm, is one", () => {
  const { source, clock, exit } = setUp();
  source.emit("SIGINT");
  clock.ms += 20;
  source.emit("SIGINT");
  expect(exit).not.toHaveBeenCalled();
});

test("disposing gives the signals back", () => {
  const { source, interrupt } = setUp();
  interrupt[Symbol.dispose]();
  expect(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM")).toBe(0);
});

test("a real signal is heard within a turn of the event loop", async () => {
  using interrupt = new Interrupt({ say: () => {} });
  process.kill(process.pid, "SIGTERM");
  for (let turn = 0; turn < 1000 && !interrupt.signal.aborted; turn += 1) await nextTurn();
  expect(interrupt.signal.aborted).toBe(true);
});
