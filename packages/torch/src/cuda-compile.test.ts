/** NVRTC itself, which needs no GPU, compiles our kernels for the GPUs that are about. Skipped where no NVRTC is found. */
import { beforeAll, describe, expect, test } from "vitest";
import { configureKernels, kernelFiles } from "./kernel-sources.js";
import { native } from "./native.js";
import { findBinding } from "./setup/binding.js";
import { findNvrtc } from "./setup/nvrtc.js";

const nvrtc = findNvrtc(findBinding().libtorch);

/** A100, RTX 4090 and L40S, H100, B200. */
const ARCHITECTURES = ["sm_80", "sm_89", "sm_90", "sm_100"];

describe.skipIf(nvrtc.length === 0)(
  `with NVRTC (${nvrtc.at(-1) ?? "none found: name one with CAMELID_NVRTC"})`,
  () => {
    beforeAll(() => configureKernels(native, nvrtc));

    describe.each(ARCHITECTURES)("for %s", (architecture) => {
      test.each(kernelFiles())("%s compiles, and no kernel spills registers to memory", (name) => {
        const log = native.compileKernels(name, architecture);
        const spills = [...log.matchAll(/(\d+) bytes spill (stores|loads)/g)].map(([, bytes]) =>
          Number(bytes),
        );
        expect(spills.length).toBeGreaterThan(0);
        expect(Math.max(...spills)).toBe(0);
        const registers = [...log.matchAll(/Used (\d+) registers/g)].map(([, count]) => Number(count));
        // At 80 a multiprocessor's 65,536 registers are enough for 25 warps: as many as have to wait for memory together.
        expect(Math.max(...registers)).toBeLessThanOrEqual(80);
      });
    });

    test("an architecture that NVRTC does not know is an error with its own words", () => {
      expect(() => native.compileKernels("rope", "sm_1")).toThrow(
        /rope\.cu does not compile for sm_1.*gpu-architecture/s,
      );
    });
  },
);
