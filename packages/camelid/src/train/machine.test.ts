import { expect, test } from "vitest";
import { type MachineSettings, prepareMachine } from "./machine.js";

const settings: MachineSettings = { device: "cpu", threads: 1, seed: 1, precision: "fp32" };

test("activations are not moved where they are, nor where none are kept: both are said before anything is loaded", () => {
  const offload = { ...settings, activationOffload: true };
  expect(() => prepareMachine({ ...offload, activationCheckpointing: true })).toThrow(
    expect.objectContaining({ code: "ERR_OFFLOAD_DEVICE", message: expect.stringContaining("on cpu") }),
  );
  expect(() => prepareMachine({ ...offload, activationCheckpointing: false })).toThrow(
    expect.objectContaining({
      code: "ERR_OFFLOAD_CHECKPOINTING",
      fix: expect.stringContaining("--activation-checkpointing"),
    }),
  );
  expect(prepareMachine({ ...settings, activationOffload: false }).device).toBe("cpu");
});
