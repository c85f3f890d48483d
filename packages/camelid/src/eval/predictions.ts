/** The predictions file of a task: one line per item, with everything its verdict rests on. */
import { z } from "zod";
import { toJsonLine } from "../run/json-numbers.js";
import type { ItemState } from "./answer-items.js";
import type { Backend } from "./backend.js";
import type { Answer, Grade, Graded, Prompt, TaskRequest } from "./task.js";

/** An item and what became of it. */
export interface ItemRecord {
  readonly state: ItemState;
  readonly status: "graded" | "failed" | "skipped";
  readonly grade: Grade | undefined;
  /** Why there is no verdict. */
  readonly reason: string | undefined;
  readonly upstreamScore?: number;
  /** Of stored answers: what they were given to. */
  readonly prompt?: string;
}

const Round = z.object({
  to: z.string(),
  /** As the answerer got it; null where only stored answers are known. */
  prompt: z.string().nullable(),
  output: z.string(),
});

const PredictionSchema = z.object({
  task: z.string(),
  id: z.string(),
  group: z.string().optional(),
  target: z.string().optional(),
  prompt: z.string().nullable(),
  output: z.string(),
  extracted: z.string().nullable(),
  /** `failed` and `skipped` items are in no score. */
  verdict: z.enum(["right", "wrong", "failed", "skipped"]),
  score: z.number().nullable(),
  extraction_failed: z.boolean().optional(),
  truncated: z.boolean().optional(),
  prompt_too_long: z.boolean().optional(),
  reason: z.string().optional(),
  note: z.string().optional(),
  values: z.record(z.string(), z.number()).optional(),
  details: z.unknown().optional(),
  upstream_score: z.number().optional(),
  /** What was asked after the first answer: further turns, judges, classifiers. */
  rounds: z.array(Round).optional(),
  answers: z.array(z.looseObject({ kind: z.string() })),
});

/** One line of a predictions file. */
export type Prediction = z.output<typeof PredictionSchema>;

export function predictionLine(task: string, record: ItemRecord, backend: Backend | undefined): string {
  const { state, status, grade, reason, upstreamScore } = record;
  const { item, requests, answers } = state;
  const shown = answers.map((answer, i) => ({
    to: requests[i]?.to ?? "model",
    prompt: requests[i] === undefined ? null : shownPrompt(requests[i], backend),
    output: shownAnswer(answer, requests[i]),
  }));
  const asked = requests[0] === undefined ? (record.prompt ?? null) : shownPrompt(requests[0], backend);
  const prediction: Prediction = {
    task,
    id: item.id,
    ...(item.group === undefined ? {} : { group: item.group }),
    ...(item.target === undefined ? {} : { target: item.target }),
    prompt: shown[0]?.prompt ?? asked,
    output: shown[0]?.output ?? "",
    extracted: grade?.extracted ?? null,
    verdict: status === "graded" ? grade!.verdict : status,
    score: status === "graded" ? grade!.score : null,
    ...(grade?.extractionFailed ? { extraction_failed: true } : {}),
    ...(isTruncated(answers, requests) ? { truncated: true } : {}),
    ...(state.promptTooLong ? { prompt_too_long: true } : {}),
    ...(reason === undefined ? {} : { reason }),
    ...(grade?.note === undefined ? {} : { note: grade.note }),
    ...(grade?.values === undefined ? {} : { values: grade.values }),
    ...(grade?.details === undefined ? {} : { details: grade.details }),
    ...(upstreamScore === undefined ? {} : { upstream_score: upstreamScore }),
    ...(shown.length > 1 ? { rounds: shown.slice(1) } : {}),
    answers: answers as unknown as Prediction["answers"],
  };
  return `${toJsonLine(prediction)}\n`;
}

/** A parsed line, or undefined when it is none. */
export function readPrediction(value: unknown): Prediction | undefined {
  const parsed = PredictionSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** What scores are computed from, of a stored prediction; undefined when it is in no score. */
export function gradedOf(prediction: Prediction): Graded | undefined {
  const { id, group, verdict, score, values = {} } = prediction;
  if (verdict === "failed" || verdict === "skipped" || score === null) return undefined;
  return { id, group, score, values };
}

/** Whether the model was cut off by the token limit in any of its answers. */
export function isTruncated(answers: readonly Answer[], requests: readonly TaskRequest[]): boolean {
  return answers.some(
    (answer, i) =>
      answer.kind === "generate" &&
      (requests[i]?.to ?? "model") === "model" &&
      answer.samples.some(({ finishReason }) => finishReason === "length"),
  );
}

/** Whether the model answered with nothing but white space. */
export function isEmpty(answers: readonly Answer[], requests: readonly TaskRequest[]): boolean {
  return answers.some(
    (answer, i) =>
      answer.kind === "generate" &&
      (requests[i]?.to ?? "model") === "model" &&
      answer.samples.some(({ text }) => text.trim() === ""),
  );
}

function shownPrompt(request: TaskRequest, backend: Backend | undefined): string {
  if (request.kind === "text" || request.kind === "classify") return request.text;
  const own = (request.to ?? "model") === "model" ? backend?.show?.(request.prompt) : undefined;
  return own ?? plainPrompt(request.prompt);
}

function plainPrompt(prompt: Prompt): string {
  if ("text" in prompt) return prompt.text;
  const turns = prompt.messages.map(({ role, content }) => `[${role}]\n${content}\n`);
  return prompt.prefix === undefined ? turns.join("") : `${turns.join("")}[assistant]\n${prompt.prefix}`;
}

/** The answer as people read it; several samples are parted by a line. */
function shownAnswer(answer: Answer, request: TaskRequest | undefined): string {
  switch (answer.kind) {
    case "generate":
      return answer.samples.map(({ text }) => text).join("\n----\n");
    case "score": {
      const continuations = request?.kind === "score" ? request.continuations : [];
      return answer.scores
        .map(({ logp }, i) => `${(continuations[i] ?? String(i)).trim()}: ${logp.toFixed(4)}`)
        .join("\n");
    }
    case "text":
      return `log p ${answer.logp.toFixed(3)} over ${answer.tokens} tokens`;
    case "classify":
      return answer.probabilities.map((probability) => probability.toFixed(4)).join(" ");
  }
}
