import { expect, test } from "vitest";
import { modelFiles } from "./model-files.js";

const chosen = (...names: string[]) =>
  modelFiles(
    names.map((name) => ({ name, size: 1, hash: { algorithm: "sha256" as const, hex: "" } })),
    "hub",
  ).map(({ name }) => name);

test("of weights in several formats, safetensors are taken", () => {
  expect(
    chosen(
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "pytorch_model-00001-of-00001.bin",
      "pytorch_model.bin.index.json",
      "consolidated.safetensors",
      "consolidated.00.pth",
      "model.Q4_K_M.gguf",
      "tf_model.h5",
      "original/model.safetensors",
      ".gitattributes",
    ),
  ).toEqual([
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
  ]);
});

test("without safetensors, PyTorch files and their index are taken", () => {
  expect(
    chosen("pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json", "training_args.bin"),
  ).toEqual(["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]);
});

test("configuration, tokenizer, template and licence come along", () => {
  const companions = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "merges.txt",
    "chat_template.jinja",
    "README.md",
    "LICENSE",
  ];
  expect(chosen("model.safetensors", ...companions)).toEqual([...companions, "model.safetensors"]);
});
