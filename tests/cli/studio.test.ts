/** What `camelid studio` says when it cannot start. */

import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { builtCamelid, builtProgram, expectOneClearError } from "./camelid.js";

describe.skipIf(!existsSync(builtProgram))("the built command (npm run build)", () => {
  test("a folder that is not there is told", async () => {
    expectOneClearError(await builtCamelid("studio", join(tmpdir(), "nowhere-at-all"), "--no-open"), {
      code: "ERR_STUDIO_ROOT",
      says: /no such folder/,
      where: /nowhere-at-all/,
    });
  });

  test("a port that is taken is told", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    try {
      expectOneClearError(
        await builtCamelid("studio", import.meta.dirname, "--no-open", "--port", `${port}`),
        {
          code: "ERR_STUDIO_PORT",
          says: /EADDRINUSE/,
        },
      );
    } finally {
      taken.close();
    }
  });
});
