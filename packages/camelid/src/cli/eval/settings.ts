/** The knobs of `camelid eval`. */
import { z } from "zod";
import { knob } from "../../settings/knob.js";
import { knobs, quantizeKnobs } from "../../settings/knobs.js";

const what = "What to evaluate";
const how = "How";
const endpoint = "Endpoints";
const machine = "Batch and length";

const text = z.string().min(1);
const list = z.array(text).min(1);

export const evalSettings = z.strictObject({
  model: knob(text.nullable().default(null), {
    help: "Model folder, adapter folder, or org/name[@revision] on the hub.",
    group: what,
    placeholder: "folder",
    alsoKnownAs: ["model_name_or_path", "checkpoint"],
  }),
  endpoint: knob(text.nullable().default(null), {
    help: "Instead of a model: base URL of an OpenAI-compatible server, such as http://localhost:8000/v1.",
    group: what,
    placeholder: "url",
    alsoKnownAs: ["base_url", "api_base"],
  }),
  replay: knob(text.nullable().default(null), {
    help: "Instead of a model: file or folder of stored answers or judgments.",
    group: what,
    placeholder: "file",
  }),
  tasks: knob(list.nullable().default(null), {
    help: "Tasks, such as mmlu,gsm8k; `all` for the paper's suite. A replay finds its own.",
    group: what,
    placeholder: "a,b,...",
    alsoKnownAs: ["task", "benchmarks"],
  }),
  data: knob(list.nullable().default(null), {
    help: "Folder with the official files, one folder a benchmark (gsm8k/test.jsonl); several are searched in order.",
    group: what,
    placeholder: "folder",
  }),
  download: knob(z.boolean().default(false), {
    help: "Fetch official files that are missing, by pinned address and checksum, into the cache.",
    group: what,
  }),
  text: knob(list.nullable().default(null), {
    help: "Files for the task perplexity.",
    group: what,
    placeholder: "files",
  }),
  out: knob(text, {
    help: "Folder for metrics.json, predictions and report.html; results of the same model are added to, an interrupted evaluation goes on.",
    group: what,
    placeholder: "folder",
    alsoKnownAs: ["output_dir", "output_path"],
  }),
  profile: knob(z.enum(["standard", "tulu2-paper"]).default("standard"), {
    help: "standard does each benchmark right; tulu2-paper does it as the paper's code, quirks included.",
    group: how,
  }),
  limit: knob(z.int().positive().nullable().default(null), {
    help: "At most so many items a task, evenly spread over it.",
    group: how,
  }),
  shots: knob(z.int().min(0).nullable().default(null), {
    help: "Examples in a prompt, instead of each task's own number.",
    group: how,
    alsoKnownAs: ["num_fewshot", "n_shot"],
  }),
  chat: knob(z.enum(["auto", "yes", "no"]).default("auto"), {
    help: "Whether prompts go through the chat template; auto: when the model has one.",
    group: how,
    alsoKnownAs: ["apply_chat_template", "use_chat_format"],
  }),
  options: knob(list.nullable().default(null), {
    help: "Options of tasks: task.name=value, such as gsm8k.exemplars=FILE or bbh.direct=true.",
    group: how,
    placeholder: "options",
  }),
  strictData: knob(z.boolean().default(false), {
    help: "An official file with other bytes than the published ones is an error; else the report says so.",
    group: how,
  }),
  dryRun: knob(z.boolean().default(false), {
    help: "Write the prompts and ask nobody.",
    group: how,
  }),
  endpointModel: knob(text.nullable().default(null), {
    help: "Name of the model at the endpoint.",
    group: endpoint,
    placeholder: "name",
  }),
  endpointApi: knob(z.enum(["chat", "completions"]).default("chat"), {
    help: "chat: the server applies its template, texts cannot be scored. completions: prompts are rendered here, with --tokenizer.",
    group: endpoint,
  }),
  endpointPrefix: knob(z.enum(["drop", "continue"]).default("drop"), {
    help: "Beginning of the answer that a task gives, over chat: leave it out, or let the server continue it (vLLM, SGLang).",
    group: endpoint,
  }),
  tokenizer: knob(text.nullable().default(null), {
    help: "Model folder whose tokenizer and template an endpoint's prompts are made with.",
    group: endpoint,
    placeholder: "folder",
  }),
  contextLength: knob(z.int().positive().default(4096), {
    help: "Tokens that the endpoint's model can hold.",
    group: endpoint,
  }),
  apiKeyEnv: knob(text.default("OPENAI_API_KEY"), {
    help: "Environment variable with the endpoint's key; a judge's is named in --judges.",
    group: endpoint,
    placeholder: "name",
  }),
  price: knob(
    z
      .tuple([z.number().min(0), z.number().min(0)])
      .nullable()
      .default(null),
    {
      help: "Dollars per million tokens in and out, for the cost counter.",
      group: endpoint,
      accepts: "two numbers, such as 2.5,10",
    },
  ),
  judges: knob(list.nullable().default(null), {
    help: "Who answers a task's roles: role=URL#model, role=URL#model#KEY_VARIABLE, or role=folder.",
    group: endpoint,
    placeholder: "roles",
  }),
  concurrency: knob(z.int().positive().default(8), {
    help: "Calls to an endpoint, judgments or programs at the same time.",
    group: machine,
  }),
  batchSize: knob(z.int().positive().default(32), {
    help: "Most texts written at the same time.",
    group: machine,
  }),
  kvCacheBytes: knob(z.int().positive().nullable().default(null), {
    help: "Most bytes for keys and values; texts wait while it is full.",
    group: machine,
    placeholder: "bytes",
  }),
  precision: knobs.precision,
  quantize: quantizeKnobs.nullable().default(null),
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

export type EvalSettings = z.output<typeof evalSettings>;
