/** A RoBERTa classifier as an answerer: class probabilities of texts, computed here. */
import type { Device } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { SettingsError } from "../../errors.js";
import { loadRobertaClassifier, type RobertaClassifier } from "../../model/roberta.js";
import { modelFolder } from "../../run/hub-names.js";
import { type EncodeTexts, loadEncoderTokenizer } from "../../tokenizer/encoder-tokenizer.js";
import type { Backend } from "../backend.js";
import { folderIdentity } from "../folder-identity.js";
import type { RoleSettings } from "../task.js";
import { dryRunJudge } from "./dry-run-judge.js";

/** Tokens that go through the encoder together. */
const TOKENS_PER_BATCH = 4096;

/** @throws {SettingsError} ERR_EVAL_JUDGE without a folder; {ModelError} ERR_ROBERTA */
export async function openClassifier(settings: RoleSettings): Promise<Backend> {
  const { role, model, dryRun, endpoint } = settings;
  if (dryRun) return dryRunJudge(settings);
  if (model === undefined || endpoint !== undefined) {
    throw new SettingsError("ERR_EVAL_JUDGE", `the role "${role}" needs the folder of a classifier.`, {
      where: "--judges",
      fix: `--judges ${role}=FOLDER, for ToxiGen that of tomh/toxigen_roberta.`,
    });
  }
  const folder = modelFolder(model);
  const device: Device = torch.installation().devices.find((one) => one.startsWith("cuda")) ?? "cpu";
  const encode = await loadEncoderTokenizer(folder);
  return classifierBackend(model, folderIdentity(folder), encode, loadRobertaClassifier(folder, { device }));
}

function classifierBackend(
  name: string,
  identity: string,
  encode: EncodeTexts,
  classifier: RobertaClassifier,
): Backend {
  const counts = { texts: 0, texts_cut: 0, tokens: 0 };
  const { bosTokenId, eosTokenId, maxTokens } = classifier;
  const framed = (ids: readonly number[]) => {
    if (ids.length > maxTokens - 2) counts.texts_cut++;
    return [bosTokenId, ...ids.slice(0, maxTokens - 2), eosTokenId];
  };
  return {
    name,
    identity,
    canScore: false,
    async ask(batch, onOutcome, signal) {
      const texts = batch.map(({ request }) => (request.kind === "classify" ? request.text : ""));
      const rows = (await encode(texts)).map(framed);
      for (const group of groups(rows)) {
        if (signal.aborted) return;
        const logits = classifier.logits(group.map((index) => rows[index]!));
        for (const [i, index] of group.entries()) {
          counts.texts++;
          counts.tokens += rows[index]!.length;
          const isText = batch[index]!.request.kind === "classify";
          const answer = { kind: "classify", probabilities: softmax(logits[i]!) } as const;
          const message = "a classifier writes and scores nothing";
          onOutcome(index, isText ? { answer } : { refused: { reason: "unsupported", message } });
        }
        await new Promise<void>((resolve) => setImmediate(resolve)); // the command hears an interruption
      }
    },
    stats: () => ({ ...counts }),
    async [Symbol.asyncDispose]() {
      classifier[Symbol.dispose]();
    },
  };
}

/** Indexes of rows, so many together that their tokens fit. */
function* groups(rows: readonly (readonly number[])[]): Generator<number[]> {
  let group: number[] = [];
  let tokens = 0;
  for (const [index, { length }] of rows.entries()) {
    if (group.length > 0 && tokens + length > TOKENS_PER_BATCH) {
      yield group;
      group = [];
      tokens = 0;
    }
    group.push(index);
    tokens += length;
  }
  if (group.length > 0) yield group;
}

export function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - top));
  const sum = powers.reduce((all, one) => all + one, 0);
  return powers.map((one) => one / sum);
}
