/**
 * What clients may ask, in the words of OpenAI's API. Known fields that would be ignored are refused instead, unless their value asks
 * for nothing; unknown ones are left alone, since clients send notes of their own.
 */
import { z } from "zod";
import { isText } from "../data/conversation.js";

const text = z
  .union(
    [
      z.string(),
      z
        .array(z.object({ type: z.literal("text"), text: z.string() }))
        .transform((parts) => parts.map((part) => part.text).join("")),
    ],
    "expected text, or a list of parts of type text",
  )
  .refine(isText, "holds half of a surrogate pair, which is not text");

/** OpenAI's, but for `top_k`, which most servers of open models have. */
const decoding = {
  model: z.string(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().positive().nullish(),
  seed: z.int().min(0).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  n: z.int().min(1).max(16).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
};

const off = (values: readonly unknown[], why: string) =>
  z
    .unknown()
    .refine((value) => value == null || values.includes(JSON.stringify(value)), why)
    .optional();

const none = (name: string) => off(["[]", "{}"], `${name} is not supported`);

const refused = {
  frequency_penalty: off(["0"], "penalties are not supported; leave it out, or 0"),
  presence_penalty: off(["0"], "penalties are not supported; leave it out, or 0"),
  logit_bias: none("logit_bias"),
  tools: none("calling tools"),
  functions: none("calling functions"),
  function_call: off(['"none"', '"auto"'], "calling functions is not supported"),
  tool_choice: off(['"none"', '"auto"'], "calling tools is not supported"),
  modalities: off(['["text"]'], "only text is supported"),
  audio: off([], "only text is supported"),
  // Not OpenAI's, but other servers', which would honour them.
  repetition_penalty: off(["1"], "penalties are not supported; leave it out, or 1"),
  min_p: off(["0"], "min_p is not supported"),
  min_tokens: off(["0"], "min_tokens is not supported"),
  ignore_eos: off(["false"], "ignore_eos is not supported"),
  stop_token_ids: none("stop_token_ids"),
  response_format: off(['{"type":"text"}'], "only the format text is supported"),
};

const message = z.object({
  role: z.enum(["system", "developer", "user", "assistant"]),
  content: text,
  tool_calls: none("calling tools"),
  function_call: off([], "calling functions is not supported"),
});

export const ChatRequest = z
  .object({
    ...decoding,
    ...refused,
    messages: z.array(message).min(1),
    max_tokens: z.int().positive().nullish(),
    max_completion_tokens: z.int().positive().nullish(),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
  })
  .refine(({ logprobs, top_logprobs }) => logprobs || !top_logprobs, {
    path: ["top_logprobs"],
    message: "needs logprobs: true",
  });

/** Checked as a whole: element by element, thousands of them would hold up the next step of everybody. */
const tokenIds = z.custom<number[]>(
  (value) =>
    Array.isArray(value) && value.length > 0 && value.every((id) => Number.isSafeInteger(id) && id >= 0),
  "expected token ids",
);

export const CompletionRequest = z.object({
  ...decoding,
  ...refused,
  prompt: z.union([
    z.string(),
    tokenIds, // first of the lists: an alternative that does not fit notes each of its elements
    z.array(z.string()).min(1).max(128),
    z.array(tokenIds).min(1).max(128),
  ]),
  max_tokens: z.int().positive().nullish(),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: off(["false"], "echo is not supported"),
  suffix: off(['""'], "suffix is not supported"),
  best_of: off(["1"], "best_of is not supported"),
});

export type ChatRequest = z.output<typeof ChatRequest>;
export type CompletionRequest = z.output<typeof CompletionRequest>;
