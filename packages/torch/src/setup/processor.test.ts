/** What a binding that lies in a shared folder says of the processors that can run it. */
import { expect, test } from "vitest";
import { capabilities, checkProcessor, neededOf } from "./processor.js";

const SERVER =
  "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse4_1 avx2 avx512f avx512_bf16\n\nprocessor\t: 1\n";
const OLDER = SERVER.replace(" avx512f avx512_bf16", "");
const MACROS = "#define __AVX512BF16__ 1\n#define __AVX2__ 1\n#define __AVX512F__ 1\n#define __GNUC__ 12\n";

test("a processor of the same name that can do less is refused, with what it lacks", () => {
  const needed = neededOf(capabilities(SERVER), MACROS);
  expect(needed).toEqual(["avx2", "avx512_bf16", "avx512f"]);
  checkProcessor(needed, "camelid_torch.node", capabilities(SERVER));
  expect(() => checkProcessor(needed, "camelid_torch.node", capabilities(OLDER))).toThrow(
    expect.objectContaining({
      code: "ERR_TORCH_PROCESSOR",
      where: expect.stringContaining("without avx512_bf16, avx512f"),
    }),
  );
});

test("a binding for what all have runs on all", () => {
  const needed = neededOf(capabilities(SERVER), "#define __AVX2__ 1\n");
  checkProcessor(needed, "camelid_torch.node", capabilities(OLDER));
});

test("where the system does not say what a processor can do, nothing is refused", () => {
  checkProcessor(["avx2"], "camelid_torch.node", capabilities(""));
});
