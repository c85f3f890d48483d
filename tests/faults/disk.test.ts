/** A disk that is full or read-only ends a run with one clear error; what was complete stays complete and can be continued. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listCheckpoints } from "camelid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isTemporaryName } from "../../packages/camelid/src/run/atomic-write.js";
import { random, type TinyModel, writeTinyModel } from "../tiny-model.js";
import { builtProgram, type Ended, expectNothingHalf, traceOf, train } from "./training.js";

const root = mkdtempSync(join(tmpdir(), "camelid-disk-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let out: string;
let words: string[];
let unbroken: Awaited<ReturnType<typeof traceOf>>;
/** Bytes of one checkpoint and of the whole run. */
let checkpointBytes: number;

describe.skipIf(!existsSync(builtProgram))("a run of the built command", () => {
  beforeAll(async () => {
    const tiny: TinyModel = await writeTinyModel(join(root, "tiny"), { rows: 24 });
    const flags =
      "--micro-batch-size 2 --grad-accum-steps 2 --learning-rate 1e-2 --threads 1 --save-every-steps 2";
    words = ["sft", "--model", tiny.model, "--data", tiny.data, ...flags.split(" ")];
    const reference = join(root, "unbroken");
    const ended = await train([...words, "--out", reference]);
    expect(ended.code, ended.text).toBe(0);
    unbroken = await traceOf(reference);
    const [newest] = listCheckpoints(reference);
    checkpointBytes = readdirSync(newest!.path).reduce(
      (sum, name) => sum + statSync(join(newest!.path, name)).size,
      0,
    );
  });
  beforeEach(() => {
    out = join(mkdtempSync(join(root, "run-")), "run");
  });

  const leftovers = () =>
    readdirSync(out, { recursive: true, encoding: "utf8" }).filter((path) =>
      isTemporaryName(path.split("/").at(-1)!),
    );

  const expectError = ({ code, text }: Ended, name: string): void => {
    expect(code, text).toBe(1);
    expect(text).toMatch(new RegExp(`TrainingError \\[${name}\\]: \\S`));
    expect(text).toMatch(/^ {2}fix: {3}\S/m);
    expect(text, "no stack").not.toMatch(/^\s+at .+:\d+/m);
  };

  test("on a disk that gets full in the middle of a checkpoint keeps the one before, and goes on when there is room", async () => {
    const next = random(3);
    for (let round = 0; round < 4; round++) {
      out = join(mkdtempSync(join(root, "full-")), "run");
      const room = Math.floor(checkpointBytes * (1.05 + 1.9 * next()));
      const ended = await train([...words, "--out", out], { FAULT_DISK_BYTES: room });
      expectError(ended, "ERR_DISK_FULL");
      expect(leftovers()).toEqual([]);
      await expectNothingHalf(out);
      expect(listCheckpoints(out).length).toBeGreaterThan(0);
      const resumed = await train(["sft", "--resume", "--out", out]);
      expect(resumed.code, resumed.text).toBe(0);
      expect(await traceOf(out)).toEqual(unbroken);
    }
  });

  test("in a read-only folder says so and leaves nothing", async () => {
    const ended = await train([...words, "--out", out], { FAULT_READ_ONLY_AT: 1 });
    expectError(ended, "ERR_NOT_WRITABLE");
    expect(existsSync(out)).toBe(false);
  });

  test("on a disk that turns read-only while it trains stops, and goes on when it can be written again", async () => {
    const ended = await train([...words, "--out", out], { FAULT_READ_ONLY_AT: 200 });
    expectError(ended, "ERR_NOT_WRITABLE");
    await expectNothingHalf(out);
    const resumed = await train(["sft", "--resume", "--out", out]);
    expect(resumed.code, resumed.text).toBe(0);
    expect(await traceOf(out)).toEqual(unbroken);
  });

  test("whose resume finds a full disk changes nothing", async () => {
    await train([...words, "--out", out], { FAULT_KILL_AT: 200 });
    const before = readFileSync(join(out, "settings.json"), "utf8");
    const checkpoints = listCheckpoints(out);
    expect(checkpoints.length).toBeGreaterThan(0);
    expectError(await train(["sft", "--resume", "--out", out], { FAULT_DISK_BYTES: 100 }), "ERR_DISK_FULL");
    expect(readFileSync(join(out, "settings.json"), "utf8")).toBe(before);
    expect(listCheckpoints(out)).toEqual(checkpoints);
  });
});
