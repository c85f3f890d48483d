/**
 * The classifier of the miniature: a RoBERTa of one layer whose weights are set by hand, so that a text is toxic when it holds one of
 * a few words. It has the form of ToxiGen's published classifier and goes through the same code.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { writeFileAtomic } from "../../run/atomic-write.js";

const WIDTH = 4;
const POSITIONS = 514;
const SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"];
/** What byte-level BPE writes for a space. */
const SPACE = "\u0120";

/** Writes the folder. @param words in lower case, a space before them in texts */
export function writeHouseClassifier(folder: string, words: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  const merges = words.flatMap(mergesOf);
  const vocabulary = [...new Set([...SPECIAL, ...byteCharacters(), ...merges.map(([a, b]) => a + b)])];
  const ids = Object.fromEntries(vocabulary.map((piece, id) => [piece, id]));
  const marked = new Set(words.map((word) => SPACE + word));
  write(folder, "vocab.json", JSON.stringify(ids));
  write(
    folder,
    "merges.txt",
    `#version: 0.2\n${[...new Set(merges.map((pair) => pair.join(" ")))].join("\n")}\n`,
  );
  write(folder, "config.json", JSON.stringify(configOf(vocabulary.length)));
  using _ = torch.tensorScope();
  const weights = weightsOf(vocabulary.map((piece) => marked.has(piece)));
  torch.writeSafetensors(join(folder, "model.safetensors"), weights, { format: "pt" });
}

/** Letter by letter: " fools" is joined from its beginning. */
function mergesOf(word: string): [string, string][] {
  const letters = [...word];
  return letters.map((letter, i) => [SPACE + letters.slice(0, i).join(""), letter]);
}

/** The 256 characters that stand for bytes in byte-level BPE. */
function byteCharacters(): string[] {
  const isPlain = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPlain(byte) ? byte : 256 + others++));
}

function configOf(vocabularySize: number): object {
  return {
    ...{ model_type: "roberta", architectures: ["RobertaForSequenceClassification"] },
    ...{ hidden_size: WIDTH, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: WIDTH },
    ...{ vocab_size: vocabularySize, max_position_embeddings: POSITIONS, type_vocab_size: 1 },
    ...{ layer_norm_eps: 1e-5, hidden_act: "gelu", bos_token_id: 0, pad_token_id: 1, eos_token_id: 2 },
  };
}

/**
 * A marked token points along the first two dimensions, any other along the last two. Attention is the mean of all tokens, and only
 * the first two dimensions go through it: one marked token among 500 turns the first one's state around.
 */
function weightsOf(marked: readonly boolean[]): Map<string, Tensor> {
  const layer = "roberta.encoder.layer.0";
  const matrix = (rows: readonly (readonly number[])[]) =>
    torch.tensor(
      rows.map((row) => [...row]),
      { dtype: "float32" },
    );
  const vector = (values: readonly number[]) => torch.tensor([...values], { dtype: "float32" });
  const zeros = (...shape: number[]) => torch.zeros(shape, { dtype: "float32" });
  const identity = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) => (i === j ? 1 : 0)));
  const through = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) => (i === j && i < 2 ? 2000 : 0)));
  const norm = (name: string): [string, Tensor][] => [
    [`${name}.weight`, vector([1, 1, 1, 1])],
    [`${name}.bias`, zeros(WIDTH)],
  ];
  const linear = (name: string, weight: Tensor, bias = zeros(weight.shape[0]!)): [string, Tensor][] => [
    [`${name}.weight`, weight],
    [`${name}.bias`, bias],
  ];
  return new Map<string, Tensor>([
    [
      "roberta.embeddings.word_embeddings.weight",
      matrix(marked.map((is) => (is ? [1, -1, 0, 0] : [0, 0, 1, -1]))),
    ],
    ["roberta.embeddings.position_embeddings.weight", zeros(POSITIONS, WIDTH)],
    ["roberta.embeddings.token_type_embeddings.weight", zeros(1, WIDTH)],
    ...norm("roberta.embeddings.LayerNorm"),
    ...linear(`${layer}.attention.self.query`, zeros(WIDTH, WIDTH)),
    ...linear(`${layer}.attention.self.key`, zeros(WIDTH, WIDTH)),
    ...linear(`${layer}.attention.self.value`, matrix(through)),
    ...linear(`${layer}.attention.output.dense`, matrix(identity)),
    ...norm(`${layer}.attention.output.LayerNorm`),
    ...linear(`${layer}.intermediate.dense`, zeros(WIDTH, WIDTH)),
    ...linear(`${layer}.output.dense`, zeros(WIDTH, WIDTH)),
    ...norm(`${layer}.output.LayerNorm`),
    ...linear("classifier.dense", matrix(identity)),
    ...linear(
      "classifier.out_proj",
      matrix([
        [-8, 0, 0, 0],
        [8, 0, 0, 0],
      ]),
      vector([3, -3]),
    ),
  ]);
}

function write(folder: string, name: string, text: string): void {
  writeFileAtomic(join(folder, name), text);
}
