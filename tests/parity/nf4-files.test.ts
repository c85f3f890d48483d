/**
 * Models in 4 bits, from transformers with bitsandbytes and back. The way back needs a Python that has both:
 *     CAMELID_PYTHON=/path/to/python npx vitest run tests/parity/nf4-files.test.ts
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LanguageModel } from "../../packages/camelid/src/model/language-model.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { folderWeightsHash, weightsHash } from "../../packages/camelid/src/model/weights-hash.js";
import { Nf4Linear } from "../../packages/camelid/src/nn/nf4-linear.js";
import { packRows } from "../../packages/camelid/src/nn/packed-rows.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";

const python = process.env.CAMELID_PYTHON;
const scratch = mkdtempSync(join(tmpdir(), "camelid-nf4-"));
afterAll(() => rmSync(scratch, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

const { rows } = readReferenceJson<{ rows: number[][] }>("nf4-files/fixtures/reference.json");
const folderOf = (name: string): string => parityPath(`nf4-files/fixtures/${name}`);

function logits(model: LanguageModel): Tensor[] {
  return rows.map((row) =>
    torch.noGrad(() => torch.linear(model.hiddenStates(packRows([row], "cpu")), model.headWeight)),
  );
}

describe.each(["double", "single"])("a folder with %s quantisation", (name) => {
  const stored = readReferenceTensors(`nf4-files/fixtures/${name}.safetensors`);

  test("has bitsandbytes' weights, to the last bit, and the logits of a model with them", () => {
    using _ = torch.tensorScope();
    using model = loadModel(folderOf(name));
    for (const linear of model.linears()) {
      expect(linear).toBeInstanceOf(Nf4Linear);
      const { weight } = linear as Nf4Linear;
      expect(weight.nested !== undefined).toBe(name === "double");
      expect(weight.dequantize("float32").toTypedArray()).toEqual(
        stored.get(`weight.${linear.name}.weight`).data,
      );
    }
    logits(model).forEach((one, i) => {
      expect(one).toBeAllClose(stored.get(`logits.${i}`), { atol: 1e-5, rtol: 1e-5 });
    });
  });

  test("is written again as it was", () => {
    using _ = torch.tensorScope();
    using model = loadModel(folderOf(name));
    const copy = join(scratch, name);
    saveModel(model, copy);
    const [before, after] = [folderOf(name), copy].map(
      (folder) => torch.readSafetensors(join(folder, "model.safetensors")).tensors,
    ) as [Map<string, Tensor>, Map<string, Tensor>];
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [key, tensor] of before) {
      const written = after.get(key)!;
      if (key.endsWith("bitsandbytes__nf4")) expect(json(written)).toEqual(json(tensor));
      else expect(written.equal(tensor)).toBe(true);
    }
    expect(folderWeightsHash(copy)).toBe(weightsHash(model.namedParameters()));
    using again = loadModel(copy);
    for (const [i, one] of logits(again).entries()) expect(one.equal(logits(model)[i]!)).toBe(true);
  });

  test("leaves no tensor behind, loaded or refused", () => {
    const before = torch.memoryStats().liveTensors;
    loadModel(folderOf(name))[Symbol.dispose]();
    const name_ = "model.layers.0.mlp.up_proj.weight.quant_map";
    expect(() => loadModel(without(name, name_))).toThrow(/missing/);
    expect(torch.memoryStats().liveTensors).toBe(before);
  });

  test.skipIf(python === undefined)(
    "of ours, transformers and bitsandbytes read the same weights",
    () => {
      using model = loadModel(folderOf(name));
      const copy = join(scratch, `${name}-python`);
      saveModel(model, copy);
      const reference = parityPath(`nf4-files/fixtures/${name}.safetensors`);
      const printed = execFileSync(python!, [parityPath("nf4-files/check_saved.py"), copy, reference], {
        env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" },
      });
      expect(printed.toString()).toMatch(/7 matrices equal/);
    },
    120_000,
  );
});

describe("statistics that are not there or not sound are named", () => {
  const matrix = "model.layers.0.self_attn.k_proj.weight";
  test.each(["absmax", "quant_map", "nested_absmax", "nested_quant_map", "quant_state.bitsandbytes__nf4"])(
    "%s missing",
    (suffix) => {
      expect(() => loadModel(without("double", `${matrix}.${suffix}`))).toThrow(
        expect.objectContaining({
          code: "ERR_NF4_TENSORS",
          message: expect.stringMatching(/missing/),
          where: expect.stringContaining(`"${matrix}.${suffix}"`),
        }),
      );
    },
  );

  test.each<[string, string, (tensor: Tensor) => Tensor, RegExp]>([
    ["too few maxima", "absmax", (x) => x.narrow(0, 0, 3).clone(), /3 values of uint8/],
    ["another code", "quant_map", (x) => x.mul(2), /not those of the code/],
    ["a maximum that is NaN", "nested_absmax", (x) => x.mul(Number.NaN), /infinity or NaN/],
    ["an unreadable state", "quant_state.bitsandbytes__nf4", (x) => x.narrow(0, 0, 20).clone(), /JSON/],
    [
      "another block size",
      "quant_state.bitsandbytes__nf4",
      (x) => bytes(Buffer.from(x.toBytes()).toString().replace('"blocksize": 64', '"blocksize": 128')),
      /blocksize/,
    ],
    [
      "another shape",
      "quant_state.bitsandbytes__nf4",
      (x) => bytes(Buffer.from(x.toBytes()).toString().replace("[64, 64]", "[32, 128]")),
      /shape \[32,128\]/,
    ],
  ])("%s", (_, suffix, change, says) => {
    const folder = changed("double", (tensors) => {
      tensors.set(`${matrix}.${suffix}`, change(tensors.get(`${matrix}.${suffix}`)!));
    });
    expect(() => loadModel(folder)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(says) }),
    );
  });
});

test("4-bit weights are neither trained nor quantised again", () => {
  expect(() => loadModel(folderOf("double"), { trainable: true })).toThrow(/cannot be trained/);
  const quantize = { doubleQuant: true, throughFp16: false };
  expect(() => loadModel(folderOf("double"), { quantize })).toThrow(/4 bits already/);
});

const json = (tensor: Tensor): unknown => JSON.parse(Buffer.from(tensor.toBytes()).toString());
const bytes = (text: string): Tensor => torch.tensor(new Uint8Array(Buffer.from(text)));
const without = (name: string, key: string): string =>
  changed(name, (tensors) => void expect(tensors.delete(key)).toBe(true));

let copies = 0;
/** A copy of a stored folder with other tensors. */
function changed(name: string, change: (tensors: Map<string, Tensor>) => void): string {
  using _ = torch.tensorScope();
  const copy = join(scratch, `changed-${copies++}`);
  cpSync(folderOf(name), copy, { recursive: true });
  const path = join(copy, "model.safetensors");
  const { tensors } = torch.readSafetensors(path, { copy: true });
  change(tensors);
  torch.writeSafetensors(path, tensors, { format: "pt" });
  return copy;
}
