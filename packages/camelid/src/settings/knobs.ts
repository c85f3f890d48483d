import { z } from "zod";
import { knob } from "./knob.js";

/**
 * The settings that more than one recipe has: name, type, default and help, said once. A recipe picks what means
 * something to it and may give it another default, `knobs.learningRate.default(5e-7)`; help and origin stay.
 *
 * Every recipe's effective settings are complete: a knob that is off has the value `null` (`none` on the command
 * line), never a missing key.
 */
const data = "Model and data";
const batch = "Batch and length";
const optimizer = "Optimizer and schedule";
const machine = "Machine";
const saving = "Saving";
const watching = "Watching";

const positiveInt = z.int().positive();
const beta = z.number().min(0).lt(1);

export const knobs = {
  model: knob(z.string().min(1), {
    help: "Model folder in the Hugging Face layout, or org/name[@revision] on a hub.",
    group: data,
    placeholder: "folder",
    alsoKnownAs: ["model_name_or_path", "base_model", "checkpoint"],
  }),
  data: knob(z.string().min(1), {
    help: "Rows to train on: a JSONL file of unified records.",
    group: data,
    placeholder: "file",
    alsoKnownAs: ["train_file", "dataset", "dataset_name", "train_data"],
  }),
  onBad: knob(z.enum(["error", "skip"]).default("error"), {
    help: "A row that cannot be used stops the command, or (skip) is left out, counted and listed.",
    group: data,
  }),
  preflight: knob(z.boolean().default(true), {
    help: "Look at model, rows and schedule before the first step, in under 30 seconds; a failed check stops the run.",
    group: data,
    alsoKnownAs: ["sanity_check", "checks"],
  }),
  out: knob(z.string().min(1), {
    help: "Run folder to create; it must be new or empty.",
    group: data,
    placeholder: "folder",
    alsoKnownAs: ["output_dir", "output", "output_path"],
  }),

  maxSeqLen: knob(positiveInt.default(2048), {
    help: "Longest row in tokens; longer ones are cut and counted.",
    group: batch,
    alsoKnownAs: ["max_seq_length", "max_length", "cutoff_len", "sequence_len", "block_size"],
  }),
  maxNewTokens: knob(positiveInt.default(512), {
    help: "Most tokens to generate for one prompt.",
    group: batch,
    alsoKnownAs: ["max_tokens", "max_new_tokens"],
  }),
  microBatchSize: knob(positiveInt.default(1), {
    help: "Rows in one forward and backward pass.",
    group: batch,
    alsoKnownAs: ["batch_size", "per_device_train_batch_size", "micro_batch"],
  }),
  gradAccumSteps: knob(positiveInt.default(1), {
    help: "Micro-batches in one optimizer step.",
    group: batch,
    alsoKnownAs: ["gradient_accumulation_steps", "accumulate_grad_batches", "accumulation"],
  }),
  packing: knob(z.boolean().default(true), {
    help: "Lay several rows end to end; rows never see each other, so results are those of unpacked rows.",
    group: batch,
    alsoKnownAs: ["sample_packing", "pack"],
  }),
  epochs: knob(z.number().positive().default(1), {
    help: "Passes over the data; may be a fraction.",
    group: batch,
    alsoKnownAs: ["num_train_epochs", "num_epochs", "epoch"],
  }),
  maxSteps: knob(positiveInt.nullable().default(null), {
    help: "Stop after this many optimizer steps; none lets epochs decide.",
    group: batch,
    alsoKnownAs: ["max_train_steps", "steps", "iters", "num_steps"],
  }),
  tokenVariant: knob(z.enum(["A", "B", "C"]).default("B"), {
    help: "How the Tulu template's borders are split into tokens; A and C reproduce older tokenizers.",
    group: batch,
  }),
  specialTokensInContent: knob(z.enum(["text", "parse"]).default("text"), {
    help: 'What "</s>" typed inside a message is: plain text, or (parse) the special token, as the original code had it.',
    group: batch,
  }),

  learningRate: knob(z.number().positive().default(2e-5), {
    help: "Peak learning rate.",
    group: optimizer,
    alsoKnownAs: ["lr", "learning_rate", "peak_lr"],
  }),
  endLearningRate: knob(z.number().min(0).default(0), {
    help: "Where a linear or cosine schedule ends.",
    group: optimizer,
    alsoKnownAs: ["end_lr", "min_lr", "lr_end", "eta_min"],
  }),
  schedule: knob(z.enum(["linear", "cosine", "constant"]).default("linear"), {
    help: "Learning rate after warm-up: down to endLearningRate in a line or a half cosine, or constant.",
    group: optimizer,
    alsoKnownAs: ["lr_scheduler", "lr_scheduler_type", "scheduler"],
  }),
  warmupRatio: knob(z.number().min(0).max(1).default(0.03), {
    help: "Share of all steps in which the learning rate rises from 0.",
    group: optimizer,
    alsoKnownAs: ["warmup", "warmup_steps", "warmup_fraction"],
  }),
  betas: knob(z.tuple([beta, beta]).default([0.9, 0.999]), {
    help: "Decay of AdamW's running mean and variance.",
    group: optimizer,
    accepts: "two numbers from 0 to below 1, such as 0.9,0.95",
    alsoKnownAs: ["adam_betas", "adam_beta1", "adam_beta2"],
  }),
  eps: knob(z.number().positive().default(1e-8), {
    help: "AdamW's epsilon.",
    group: optimizer,
    alsoKnownAs: ["adam_epsilon", "epsilon"],
  }),
  weightDecay: knob(z.number().min(0).default(0), {
    help: "Decoupled weight decay of AdamW.",
    group: optimizer,
    alsoKnownAs: ["wd", "decay"],
  }),
  maxGradNorm: knob(z.number().positive().nullable().default(1), {
    help: "Clip the global gradient norm to this; none turns clipping off.",
    group: optimizer,
    alsoKnownAs: ["clip_grad_norm", "gradient_clip_val", "grad_clip", "gradient_clipping"],
  }),
  optimizer: knob(z.enum(["adamw", "adamw-8bit"]).default("adamw"), {
    help: "AdamW with moments in fp32 (8 bytes a trained weight), or block-wise in 8 bits (2 bytes; CPU and CUDA).",
    group: optimizer,
    alsoKnownAs: ["optim", "optimizer_type", "use_8bit_adam"],
  }),
  optimizerInBackward: knob(z.boolean().default(false), {
    help: "Update each weight inside the backward pass and free its gradient: same numbers, less memory; needs maxGradNorm none and gradAccumSteps 1.",
    group: optimizer,
    alsoKnownAs: ["optimizer_in_bwd", "fused_backward", "optimizer_in_backward"],
  }),
  shard: knob(z.enum(["none", "optimizer", "gradients", "parameters"]).default("none"), {
    help: "What several processes keep a part of each, instead of all: nothing, the optimizer's state (ZeRO-1), gradients too (ZeRO-2), or the weights of the layers as well (ZeRO-3); same numbers, less memory.",
    group: optimizer,
    alsoKnownAs: ["zero_stage", "zero", "sharding", "fsdp", "deepspeed", "sharding_strategy"],
  }),
  lossReduction: knob(z.enum(["token-mean", "microbatch-mean"]).default("token-mean"), {
    help: "Loss per trained token of the whole step, or (as the original code) the mean of each micro-batch's mean.",
    group: optimizer,
    alsoKnownAs: ["reduction", "reduce_loss"],
  }),

  precision: knob(z.enum(["fp32", "bf16", "bf16-mixed"]).default("fp32"), {
    help: "Numbers to compute with: fp32, bf16 throughout, or bf16 with fp32 master weights.",
    group: machine,
    alsoKnownAs: ["dtype", "torch_dtype", "mixed_precision", "fp16"],
  }),
  device: knob(
    z
      .string()
      .regex(/^(auto|cpu|mps|cuda(:\d+)?)$/)
      .default("auto"),
    {
      help: "Where to compute; auto takes the first GPU that libtorch sees, else the CPU.",
      group: machine,
      accepts: "auto, cpu, cuda, cuda:N or mps",
      placeholder: "device",
    },
  ),
  activationCheckpointing: knob(z.boolean().default(false), {
    help: "Keep only each block's input for the backward pass and compute the rest again: same numbers, less memory, one more forward pass.",
    group: machine,
    alsoKnownAs: ["gradient_checkpointing", "enable_activation_checkpointing"],
  }),
  activationOffload: knob(z.boolean().default(false), {
    help: "With activationCheckpointing: the kept inputs wait in host memory instead of the GPU's. Same numbers; copies run beside computing.",
    group: machine,
    alsoKnownAs: ["cpu_offload", "activation_offloading", "enable_activation_offloading"],
  }),
  threads: knob(positiveInt.nullable().default(null), {
    help: "CPU threads of libtorch; none means one for each physical core.",
    group: machine,
    alsoKnownAs: ["num_threads", "omp_num_threads", "cpus"],
  }),
  profile: knob(z.boolean().default(false), {
    help: "Measure the third step by phase and operator: a table, a section of the report, and a trace file for Perfetto.",
    group: machine,
    alsoKnownAs: ["profiler", "torch_profile", "with_profiler"],
  }),
  seed: knob(
    z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(42),
    {
      help: "Decides the order of rows and everything random.",
      group: machine,
      alsoKnownAs: ["random_seed", "data_seed"],
    },
  ),

  saveEverySteps: knob(positiveInt.nullable().default(null), {
    help: "Write a checkpoint every so many steps; none saves only when interrupted, and the result.",
    group: saving,
    alsoKnownAs: ["save_steps", "save_every", "checkpointing_steps"],
  }),
  keepCheckpoints: knob(positiveInt.nullable().default(2), {
    help: "How many of the newest checkpoints to keep; none keeps all. The result in final/ always stays.",
    group: saving,
    alsoKnownAs: ["save_total_limit", "keep_last", "checkpoint_limit"],
  }),

  evalData: knob(z.string().min(1).nullable().default(null), {
    help: "Rows that are not trained: a JSONL file; their loss is measured before, during and after training.",
    group: watching,
    placeholder: "file",
    alsoKnownAs: ["eval_file", "validation_file", "eval_dataset", "val_data"],
  }),
  heldOutRows: knob(positiveInt.nullable().default(null), {
    help: "Instead of evalData: take this many rows out of the data, chosen by seed and content.",
    group: watching,
    alsoKnownAs: ["held_out", "val_size", "validation_split", "test_size"],
  }),
  evalEverySteps: knob(positiveInt.nullable().default(null), {
    help: "Measure the held-out loss every so many steps; none does so only before and after.",
    group: watching,
    alsoKnownAs: ["eval_steps", "eval_every", "val_check_interval"],
  }),
  samplePrompts: knob(z.string().min(1).nullable().default(null), {
    help: "A JSONL file of prompts, as `camelid generate` takes; answered before, during and after training.",
    group: watching,
    placeholder: "file",
  }),
  answerPrompts: knob(positiveInt.nullable().default(16), {
    help: "How many prompts of held-out pairs (of training pairs where none are held out) are answered before and after, to see whether answers get longer; samplePrompts take their place.",
    group: watching,
  }),
  sampleEverySteps: knob(positiveInt.nullable().default(null), {
    help: "Answer the prompts every so many steps; none does so only before and after.",
    group: watching,
    alsoKnownAs: ["sample_every", "sample_steps"],
  }),

  beta: knob(z.number().positive().default(0.1), {
    help: "DPO's and KTO's temperature: larger stays closer to the reference.",
    group: "Preferences",
    alsoKnownAs: ["dpo_beta", "kto_beta"],
  }),
  lossType: knob(z.enum(["dpo", "dpo-norm", "ipo", "simpo"]).default("dpo"), {
    help: "Log-probabilities of answers: summed (dpo, beta 0.1), or their mean per token (dpo-norm, beta 5; ipo, a squared distance, beta 0.1; simpo, without a reference, beta 2).",
    group: "Preferences",
    alsoKnownAs: ["loss_type", "dpo_loss_type", "pref_loss"],
  }),
  targetMargin: knob(z.number().min(0).default(1), {
    help: "The margin in rewards that counts as even; for simpo only.",
    group: "Preferences",
    alsoKnownAs: ["simpo_gamma", "gamma", "gamma_beta_ratio"],
  }),
  labelSmoothing: knob(z.number().min(0).lt(0.5).default(0), {
    help: "How often the preference is taken to be the wrong way round.",
    group: "Preferences",
    alsoKnownAs: ["label_smoothing", "dpo_label_smoothing"],
  }),
  reference: knob(z.enum(["stored", "adapters-off"]).default("stored"), {
    help: "What DPO compares with: log-probabilities computed once before training, or the model with its adapters switched off.",
    group: "Preferences",
    alsoKnownAs: ["precompute_ref_log_probs", "ref_model", "cached_reference"],
  }),
  desirableWeight: knob(z.number().positive().default(1), {
    help: "KTO's weight of desirable answers; with unequal numbers, weight times count of both kinds should be alike (up to 4 : 3).",
    group: "Preferences",
    alsoKnownAs: ["desirable_weight", "kto_chosen_weight"],
  }),
  undesirableWeight: knob(z.number().positive().default(1), {
    help: "KTO's weight of undesirable answers.",
    group: "Preferences",
    alsoKnownAs: ["undesirable_weight", "kto_rejected_weight"],
  }),
  centerRewards: knob(z.number().positive().nullable().default(null), {
    help: "Reward models: weight of the squared sum of both scores, which holds their mean near 0; 0.01 is usual.",
    group: "Preferences",
    alsoKnownAs: ["center_rewards_coefficient"],
  }),
  sharePrompts: knob(z.boolean().default(true), {
    help: "The prompt of a pair goes through the model once for both answers; results are those of separate rows.",
    group: "Preferences",
    alsoKnownAs: ["prefix_sharing"],
  }),
} as const;

/** The adapter group: `lora.rank`, `lora.alpha`, `lora.dropout`, `lora.targetModules`; scaling is alpha / rank. */
export const loraKnobs = z.strictObject({
  rank: knob(positiveInt.default(16), {
    help: "Rank of the adapters.",
    group: "LoRA",
    alsoKnownAs: ["r", "lora_r", "lora_rank"],
  }),
  alpha: knob(z.number().positive().default(32), {
    help: "Adapters are scaled by alpha / rank.",
    group: "LoRA",
    alsoKnownAs: ["lora_alpha"],
  }),
  dropout: knob(z.number().min(0).lt(1).default(0), {
    help: "Dropout before the adapters.",
    group: "LoRA",
    alsoKnownAs: ["lora_dropout"],
  }),
  targetModules: knob(
    z
      .array(z.string().min(1))
      .min(1)
      .default(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    {
      help: "Linear layers that get an adapter.",
      group: "LoRA",
      alsoKnownAs: ["target_modules", "lora_target", "modules_to_train"],
    },
  ),
  rslora: knob(z.boolean().default(false), {
    help: "Scale adapters by alpha / sqrt(rank) instead.",
    group: "LoRA",
    alsoKnownAs: ["use_rslora"],
  }),
});

/**
 * Benchmarks while training, for recipes that look at their model so: `evalTasks` and what belongs to it. The words are those of
 * `camelid eval` where the same thing is meant.
 */
export const evalTaskKnobs = {
  evalTasks: knob(z.array(z.string().min(1)).min(1).nullable().default(null), {
    help: "Benchmarks, such as gsm8k,mmlu, on which the model in memory is evaluated at the end, and at steps with evalTasksEverySteps; `camelid eval` lists them.",
    group: watching,
    placeholder: "a,b,...",
    alsoKnownAs: ["eval_tasks", "eval", "benchmarks"],
  }),
  evalTasksEverySteps: knob(positiveInt.nullable().default(null), {
    help: "Evaluate on evalTasks before the first step and every so many steps; none does so only at the end.",
    group: watching,
  }),
  evalTasksData: knob(z.array(z.string().min(1)).min(1).nullable().default(null), {
    help: "Folder with the benchmarks' official files; behind it the downloads of `camelid eval --download` are searched.",
    group: watching,
    placeholder: "folder",
  }),
  evalTasksLimit: knob(positiveInt.nullable().default(null), {
    help: "At most so many items of each of evalTasks, evenly spread over it.",
    group: watching,
  }),
  evalTasksShots: knob(z.int().min(0).nullable().default(null), {
    help: "Examples in a prompt of evalTasks, instead of each task's own number.",
    group: watching,
  }),
  evalTasksProfile: knob(z.enum(["standard", "tulu2-paper"]).default("standard"), {
    help: "How evalTasks are done: right, or as the paper's code did it.",
    group: watching,
  }),
  evalTasksOptions: knob(z.array(z.string().min(1)).min(1).nullable().default(null), {
    help: "Options of evalTasks: task.name=value, such as gsm8k.exemplars=FILE.",
    group: watching,
    placeholder: "options",
  }),
  evalTasksJudges: knob(z.array(z.string().min(1)).min(1).nullable().default(null), {
    help: "Who judges for evalTasks: role=URL#model, role=URL#model#KEY_VARIABLE, or role=folder.",
    group: watching,
    placeholder: "roles",
  }),
};

/** The group of a base in 4 bits: `quantize.type`, `quantize.doubleQuant`, `quantize.throughFp16`. */
export const quantizeKnobs = z.strictObject({
  type: knob(z.enum(["nf4"]).default("nf4"), {
    help: "Keep the projections of the frozen base in this 4-bit code; embedding, head and norms stay as they are.",
    group: "4-bit base",
    alsoKnownAs: ["bnb_4bit_quant_type", "load_in_4bit", "quantization", "qlora"],
  }),
  doubleQuant: knob(z.boolean().default(true), {
    help: "Keep block maxima in 8 bits: 4.13 bits a weight instead of 4.5.",
    group: "4-bit base",
    alsoKnownAs: ["bnb_4bit_use_double_quant", "double_quantization"],
  }),
  throughFp16: knob(z.boolean().default(false), {
    help: "Round weights to fp16 before they are quantised, as bitsandbytes did in Tulu 2's time.",
    group: "4-bit base",
  }),
});

/** Every key that some command knows: one given to the wrong command is told apart from a typing mistake. */
export const everyKey: ReadonlySet<string> = new Set([
  ...Object.keys(knobs),
  ...Object.keys(evalTaskKnobs),
  ...Object.keys(loraKnobs.shape).map((key) => `lora.${key}`),
  ...Object.keys(quantizeKnobs.shape).map((key) => `quantize.${key}`),
]);
